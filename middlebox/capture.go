package middlebox

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"crimp/faults"
	"crimp/faults/wire"
)

// A capture shows the very bytes of sessions: what was read from each side and what
// the system took for each side, in order, with the ends of connections and the
// faults that acted between them.
//
// Nobody captures, nearly always: then a session has one flag that is not set, and
// nothing is kept. A captured session is relayed as ever but for two things. Its
// bytes come through this process, not by a pipe of the kernel (session.carry); and
// they are copied into the capture, which is memory of a fixed size. A loop never
// waits for who reads it: where there is no room, chunks are left out until the
// reader comes, and it is told how many.
//
// What is shown is what this process read and wrote. Beneath it the system joins and
// cuts bytes into segments as it likes, and faults on packets lose some of those.
// What still comes from a peer after its session has let go of it (linger.go) is read
// away unseen.

// CaptureOptions say what is captured; the zero value is everything on all routes.
type CaptureOptions struct {
	Route   string       `json:"route,omitempty" help:"the sessions of this route; of all unless told"`
	Session string       `json:"session,omitempty" help:"one session: web/3, live or still to come"`
	Side    string       `json:"side,omitempty" enum:"client,server,both" help:"which connection's bytes; both unless told"`
	Bytes   *int         `json:"bytes,omitempty" min:"0" help:"how many of each chunk's bytes; all unless told"`
	Buffer  *faults.Size `json:"buffer,omitempty" min:"64KiB" max:"16MiB" help:"how much may wait to be read before chunks are left out; 1MiB unless told"`
}

const (
	captureBuffer = 1 << 20  // unless told
	capturePiece  = 32 << 10 // the longest chunk; what was longer is told as several
	capturePage   = 256 << 10
	maxCaptures   = 16       // at once
	maxCaptured   = 64 << 20 // the buffers of all
)

// Capture is a capture in force. Next is for one goroutine.
type Capture struct {
	box           *Box
	route         string // empty: all
	num           uint64 // of the session; 0: all
	side          [2]bool
	most          int // bytes of a chunk that are told
	size          int // of full
	live          int64
	stopped, over sync.Once
	ready         chan struct{}

	mu   sync.Mutex
	full packer   // what waits to be read
	lost sighting // what found no room since

	taken unpacker // what is being read
	spare []byte   // the memory of what was
}

// Capture starts a capture. When it has returned every byte that is read or written
// later, of live sessions and of those still to come, is in it or counted as lost.
// Close it. It fails with not_found, invalid, or limit.
func (b *Box) Capture(o CaptureOptions) (*Capture, error) {
	c := &Capture{box: b, most: capturePiece, size: captureBuffer, ready: make(chan struct{}, 1), side: [2]bool{true, true}}
	issued, err := c.of(o)
	if err != nil {
		return nil, err
	}
	if n := b.captures.Add(1); n > maxCaptures {
		b.captures.Add(-1)
		return nil, faults.Errorf(faults.Limit, "", "%d captures are in force; end one", maxCaptures)
	}
	if n := b.captureBytes.Add(int64(c.size)); n > maxCaptured {
		b.captures.Add(-1)
		b.captureBytes.Add(-int64(c.size))
		return nil, faults.Errorf(faults.Limit, "buffer", "the captures in force have %d MiB together, of %d", (n-int64(c.size))>>20, maxCaptured>>20)
	}
	c.full = make(packer, 0, c.size)
	c.live = b.everywhere(func(l *loop) int64 { return l.capture(c) })()
	if c.num == 0 || c.live > 0 || c.num > issued {
		return c, nil
	}
	// It may have been on its way from one loop to another: by now it has come.
	if c.live = b.everywhere(func(l *loop) int64 { return l.capturing(c) })(); c.live == 0 {
		c.Close()
		return nil, faults.Errorf(faults.NotFound, "session", "no live session %q", o.Session)
	}
	return c, nil
}

// of takes the options, and says how many sessions its route has had.
func (c *Capture) of(o CaptureOptions) (issued uint64, err error) {
	switch o.Side {
	case "", "both":
	case "client", "server":
		c.side[wire.Downstream], c.side[wire.Upstream] = o.Side == "client", o.Side == "server"
	default:
		return 0, faults.Errorf(faults.Invalid, "side", "expected client, server or both, got %q", o.Side)
	}
	if o.Bytes != nil {
		if *o.Bytes < 0 {
			return 0, faults.Errorf(faults.Invalid, "bytes", "expected a number from 0, got %d", *o.Bytes)
		}
		c.most = min(*o.Bytes, capturePiece)
	}
	if o.Buffer != nil {
		if *o.Buffer < 64<<10 || *o.Buffer > 16<<20 {
			return 0, faults.Errorf(faults.Invalid, "buffer", "expected 64KiB to 16MiB, got %v", *o.Buffer)
		}
		c.size = int(*o.Buffer)
	}
	if c.route = o.Route; o.Session != "" {
		route, number, _ := strings.Cut(o.Session, "/")
		if c.num, err = strconv.ParseUint(number, 10, 63); err != nil || c.num == 0 {
			return 0, faults.Errorf(faults.Invalid, "session", "expected ROUTE/NUMBER such as web/3, got %q", o.Session)
		}
		if o.Route != "" && o.Route != route {
			return 0, faults.Errorf(faults.Invalid, "session", "%s is not a session of route %q", o.Session, o.Route)
		}
		c.route = route
	}
	if c.route == "" {
		return 0, nil
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	r, err := c.box.route(c.route)
	if err != nil {
		return 0, err
	}
	return r.numbers.Load(), nil
}

// Live is how many sessions were captured from the start.
func (c *Capture) Live() int64 { return c.live }

// Ready is sent to when there may be chunks to read: once for any number, so read
// with Next until it gives none.
func (c *Capture) Ready() <-chan struct{} { return c.ready }

// Next moves the next chunks into buf, at once, and says how many: all that wait, as
// many as fit, or some with 256 KiB of data. Their data are valid until the Next after.
func (c *Capture) Next(buf []Chunk) (n int) {
	if len(c.taken) == 0 {
		c.take()
	}
	for size := 0; n < len(buf) && len(c.taken) > 0 && size < capturePage; n++ {
		buf[n].unpack(&c.taken)
		size += len(buf[n].Data)
	}
	return n
}

// take has the loops go on in the other of the two memories.
func (c *Capture) take() {
	c.mu.Lock()
	defer c.mu.Unlock()
	full := c.full
	if c.lost.chunks > 0 {
		c.lost.pack(&full) // full has room left for it
		c.lost = sighting{}
	}
	c.full, c.spare, c.taken = packer(c.spare[:0]), full, unpacker(full)
	if c.full == nil {
		c.full = make(packer, 0, c.size)
	}
}

// put takes a chunk in, or counts it as lost. What comes once something is lost is
// lost, too, until the reader comes: one gap is better than many.
func (c *Capture) put(k *sighting) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	lost := &c.lost
	fits := lost.chunks == 0 && len(c.full)+k.room()+chunkRoom <= c.size
	if fits {
		k.pack(&c.full)
	} else if k.what != chunkOpened { // which is told again before the next
		if lost.chunks == 0 {
			lost.what, lost.at = chunkLost, k.at
		}
		lost.chunks++
		if k.what == chunkBytes {
			lost.bytes += k.bytes
		}
	}
	select {
	case c.ready <- struct{}{}:
	default:
	}
	return fits
}

// Stop takes the capture out of force: when it has returned nothing more comes in.
// What is there can still be read.
func (c *Capture) Stop() {
	c.stopped.Do(func() {
		c.box.everywhere(func(l *loop) int64 { l.uncapture(c); return 0 })()
	})
}

// Close stops the capture, if Stop did not, and gives its place to others. The channel
// of Ready is not closed.
func (c *Capture) Close() {
	c.over.Do(func() {
		c.Stop()
		c.box.captures.Add(-1)
		c.box.captureBytes.Add(-int64(c.size))
	})
}

// wants says whether a session is captured.
func (c *Capture) wants(s *session) bool {
	return (c.route == "" || c.route == s.r.name) && (c.num == 0 || c.num == s.num)
}

// captureCount counts captures, and the bytes of their buffers.
type captureCount struct {
	captures     atomic.Int64
	captureBytes atomic.Int64
}
