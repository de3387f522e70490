package middlebox

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"crimp/faults"
)

// crowd is the sessions of a route in the order in which they were accepted: the
// census that connect rules ask. Sessions of all loops enter and leave it, so it
// has a mutex, held for a few instructions; nobody waits for anybody else in it.
//
// Ten thousand may leave at once: who leaves is found by its number, and those
// that are to be told stand first in a line of their own.
type crowd struct {
	sync.Mutex
	in    []member                     // by number
	gone  int                          // of in, those that have left
	kept  map[netip.Addr]*atomic.Int32 // persistent connections of each client that has any
	waits waiting                      // those that asked who is before them, and wait
	of    map[netip.Addr]waiting       // the same, client by client
}

type member struct {
	num  uint64
	addr netip.Addr
	left bool
	kept bool // counted in crowd.kept
}

// waiting is sessions that are told when one before them leaves, by number.
type waiting []*session

func (w waiting) place(num uint64) (int, bool) {
	return slices.BinarySearchFunc(w, num, func(s *session, num uint64) int { return cmp.Compare(s.num, num) })
}

func (w waiting) with(s *session) waiting {
	if i, there := w.place(s.num); !there {
		return slices.Insert(w, i, s)
	}
	return w
}

func (w waiting) without(num uint64) waiting {
	if i, there := w.place(num); there {
		return slices.Delete(w, i, i+1)
	}
	return w
}

// enter adds a session just accepted.
func (c *crowd) enter(num uint64, addr netip.Addr) {
	c.Lock()
	defer c.Unlock()
	c.tidy()
	c.in = append(c.in, member{num: num, addr: addr})
}

// tidy forgets those that have left, once they are the most.
func (c *crowd) tidy() {
	if c.gone > 32 && c.gone > len(c.in)/2 {
		c.in = slices.DeleteFunc(c.in, func(m member) bool { return m.left })
		c.gone = 0
	}
}

// find is the member with a number, nil if it is not there.
func (c *crowd) find(num uint64) *member {
	i, there := slices.BinarySearchFunc(c.in, num, func(m member, num uint64) int { return cmp.Compare(m.num, num) })
	if !there || c.in[i].left {
		return nil
	}
	return &c.in[i]
}

// leave takes a session out and wakes those whose turn it may be: the first that
// waits, and the first of the same client.
func (c *crowd) leave(num uint64) {
	for _, s := range c.without(num) {
		s.l.post(func(*loop) { s.recount() })
	}
}

// without takes a session out and says who is to be told.
func (c *crowd) without(num uint64) (wake []*session) {
	c.Lock()
	defer c.Unlock()
	c.tidy()
	m := c.find(num)
	if m == nil {
		return nil
	}
	c.count(m, false)
	c.rest(m)
	m.left = true
	c.gone++
	if len(c.waits) > 0 {
		wake = append(wake, c.waits[0])
	}
	if own := c.of[m.addr]; len(own) > 0 && own[0] != wake[0] {
		wake = append(wake, own[0])
	}
	return wake
}

// wait puts a session among those that are told.
func (c *crowd) wait(s *session, addr netip.Addr) {
	c.waits = c.waits.with(s)
	if c.of == nil {
		c.of = map[netip.Addr]waiting{}
	}
	c.of[addr] = c.of[addr].with(s)
}

// rest has a member wait no more.
func (c *crowd) rest(m *member) {
	if len(c.waits) == 0 {
		return
	}
	c.waits = c.waits.without(m.num)
	if own := c.of[m.addr].without(m.num); len(own) > 0 {
		c.of[m.addr] = own
	} else {
		delete(c.of, m.addr)
	}
}

// keep counts a session among the persistent connections of its client, or no
// more, and says where it is written how many there are; nil: there are none.
func (c *crowd) keep(num uint64, on bool) *atomic.Int32 {
	c.Lock()
	defer c.Unlock()
	m := c.find(num)
	if m == nil {
		return nil
	}
	c.count(m, on)
	return c.kept[m.addr]
}

// count is keep with the mutex held.
func (c *crowd) count(m *member, on bool) {
	if m.kept == on {
		return
	}
	m.kept = on
	n := c.kept[m.addr]
	switch {
	case !on:
		if n.Add(-1) == 0 {
			delete(c.kept, m.addr)
		}
		return
	case c.kept == nil:
		c.kept = map[netip.Addr]*atomic.Int32{}
	}
	if n == nil {
		n = new(atomic.Int32)
		c.kept[m.addr] = n
	}
	n.Add(1)
}

// before counts those accepted before a session. Its client having to wait, s is
// told of who leaves.
func (c *crowd) before(s *session, sameClient bool) (n int) {
	c.Lock()
	defer c.Unlock()
	own := c.find(s.num)
	if own == nil {
		return 0
	}
	c.wait(s, own.addr)
	for i := range c.in {
		if m := &c.in[i]; m.num >= s.num {
			break
		} else if !m.left && (!sameClient || m.addr == own.addr) {
			n++
		}
	}
	return n
}

// served notes that a session waits no more.
func (c *crowd) served(num uint64) {
	c.Lock()
	defer c.Unlock()
	if m := c.find(num); m != nil {
		c.rest(m)
	}
}

// Before, Leave and Keep make a session the census of its engine. A client that has
// many sessions asks Keep with every request: the crowd itself is asked only where
// something changes.
func (s *session) Before(sameClient bool) int { return s.r.crowd.before(s, sameClient) }
func (s *session) Leave()                     { s.r.crowd.leave(s.num) }
func (s *session) Keep(on bool) (n int) {
	if !on || s.mates == nil {
		s.mates = s.r.crowd.keep(s.num, on)
	}
	if s.mates != nil {
		n = int(s.mates.Load())
	}
	if !on {
		s.mates = nil
	}
	return n
}

// recount lets the engine ask the census again.
func (s *session) recount() {
	if s.ended || s.dial != nil || s.dialled {
		return
	}
	defer s.guard()
	s.step(faults.Input{Kind: faults.InTick})
	s.l.enqueue(&s.task)
}
