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
// in which they were put there: blocks, each free again when its last piece is.
type arena struct {
	last *block // where the next piece goes
	free []*block
	used int // bytes of all blocks in use
}

type block struct {
	data []byte
	live int // pieces
}

// piece is bytes in an arena.
type piece struct {
	in    *block
	at, n uint32
}

const blockSize = 64 << 10

func (p piece) bytes() []byte { return p.in.data[p.at : p.at+p.n] }

// put copies b into the arena.
func (a *arena) put(b []byte) piece {
	if a.last == nil || len(a.last.data)+len(b) > cap(a.last.data) {
		a.open(len(b))
	}
	k := a.last
	p := piece{k, uint32(len(k.data)), uint32(len(b))}
	k.data = append(k.data, b...)
	k.live++
	return p
}

func (a *arena) open(room int) {
	if n := len(a.free); n > 0 && room <= blockSize {
		a.last = a.free[n-1]
		a.free[n-1], a.free = nil, a.free[:n-1]
	} else {
		a.last = &block{data: make([]byte, 0, max(room, blockSize))}
	}
	a.used += cap(a.last.data)
}

// release gives a piece back.
func (a *arena) release(p piece) {
	k := p.in
	if k.live--; k.live > 0 || k == a.last {
		return
	}
	a.used -= cap(k.data)
	if k.data = k.data[:0]; cap(k.data) == blockSize && len(a.free) < 16 {
		a.free = append(a.free, k)
	}
}
