package middlebox

// ring keeps the newest n of what is added, in memory that grows up to n.
type ring[T any] struct {
	n     int
	items []T
	head  int // the oldest
	count int
	added int64 // ever
}

// add keeps one more. Where the ring is full the oldest must have been dropped before.
func (r *ring[T]) add(x T) {
	if r.count == len(r.items) {
		items := make([]T, min(max(2*r.count, 64), r.n))
		for i := range r.count {
			items[i] = *r.at(i)
		}
		r.items, r.head = items, 0
	}
	r.count++
	r.added++
	*r.at(r.count - 1) = x
}

func (r *ring[T]) full() bool { return r.count == r.n }

// at is the i-th oldest that is still there.
func (r *ring[T]) at(i int) *T {
	if i += r.head; i >= len(r.items) {
		i -= len(r.items)
	}
	return &r.items[i]
}

// drop takes the oldest out.
func (r *ring[T]) drop() T {
	var zero T
	x := r.items[r.head]
	r.items[r.head] = zero
	if r.head++; r.head == len(r.items) {
		r.head = 0
	}
	r.count--
	return x
}

// lost is how many are no longer there.
func (r *ring[T]) lost() int64 { return r.added - int64(r.count) }

// arena is memory for many small pieces that are given back roughly in the order
// in which they were put there: blocks, each free again when its last piece is. A
// piece says which block by its number: the collector does not look into rings of them.
type arena struct {
	blocks []block
	last   uint32   // where the next piece goes
	empty  []uint32 // blocks without pieces; a few of them keep their memory
	used   int      // bytes of all blocks in use
}

type block struct {
	data []byte
	live int // pieces
}

// piece is bytes in an arena.
type piece struct{ in, at, n uint32 }

const (
	blockSize  = 64 << 10
	blocksKept = 16 // with their memory, though empty
)

func (a *arena) bytes(p piece) []byte { return a.blocks[p.in].data[p.at : p.at+p.n] }

// put copies b into the arena.
func (a *arena) put(b []byte) piece {
	if len(a.blocks) == 0 || len(a.blocks[a.last].data)+len(b) > cap(a.blocks[a.last].data) {
		a.open(len(b))
	}
	k := &a.blocks[a.last]
	p := piece{a.last, uint32(len(k.data)), uint32(len(b))}
	k.data = append(k.data, b...)
	k.live++
	return p
}

// open makes another block the last, of at least so much room.
func (a *arena) open(room int) {
	before := a.last
	if n := len(a.empty); n > 0 {
		a.last, a.empty = a.empty[n-1], a.empty[:n-1]
	} else {
		a.last = uint32(len(a.blocks))
		a.blocks = append(a.blocks, block{})
	}
	k := &a.blocks[a.last]
	if cap(k.data) < room {
		k.data = make([]byte, 0, max(room, blockSize))
	}
	a.used += cap(k.data)
	if before != a.last && a.blocks[before].live == 0 { // emptied while it was the last
		a.reclaim(before)
	}
}

// release gives a piece back.
func (a *arena) release(p piece) {
	k := &a.blocks[p.in]
	if k.live--; k.live == 0 && p.in != a.last {
		a.reclaim(p.in)
	}
}

// reclaim makes a block ready to be the last again.
func (a *arena) reclaim(in uint32) {
	k := &a.blocks[in]
	a.used -= cap(k.data)
	if k.data = k.data[:0]; cap(k.data) != blockSize || len(a.empty) >= blocksKept {
		k.data = nil
	}
	a.empty = append(a.empty, in)
}
