package middlebox

import (
	"net/netip"
	"slices"
	"sort"
	"sync"

	"crimp/faults"
)

// crowd is the sessions of a route in the order in which they were accepted: the
// census that connect rules ask. Sessions of all loops enter and leave it, so it
// has a mutex, held for a few instructions; nobody waits for anybody else in it.
type crowd struct {
	sync.Mutex
	in   []member           // by number
	gone int                // of in, those that have left
	kept map[netip.Addr]int // persistent connections of each client that has any
}

type member struct {
	num  uint64
	addr netip.Addr
	asks *session // it waits: to be told when one before it leaves
	left bool
	kept bool // counted in crowd.kept
}

// enter adds a session just accepted.
func (c *crowd) enter(num uint64, addr netip.Addr) {
	c.Lock()
	defer c.Unlock()
	if c.gone > 32 && c.gone > len(c.in)/2 {
		c.in = slices.DeleteFunc(c.in, func(m member) bool { return m.left })
		c.gone = 0
	}
	c.in = append(c.in, member{num: num, addr: addr})
}

// find is the member with a number, nil if it is not there.
func (c *crowd) find(num uint64) *member {
	i := sort.Search(len(c.in), func(i int) bool { return c.in[i].num >= num })
	if i == len(c.in) || c.in[i].num != num || c.in[i].left {
		return nil
	}
	return &c.in[i]
}

// leave takes a session out and wakes those whose turn it may be: the first that
// waits, and the first of the same client.
func (c *crowd) leave(num uint64) {
	c.Lock()
	m := c.find(num)
	if m == nil {
		c.Unlock()
		return
	}
	m.left, m.asks = true, nil
	c.count(m, false)
	c.gone++
	var wake []*session
	first := true
	for i := range c.in {
		if x := &c.in[i]; x.asks != nil && (first || x.addr == m.addr) {
			wake = append(wake, x.asks)
			if first = false; x.addr == m.addr {
				break
			}
		}
	}
	c.Unlock()
	for _, s := range wake {
		s.l.post(func(*loop) { s.recount() })
	}
}

// keep counts a session among the persistent connections of its client, or no
// more, and says how many there are.
func (c *crowd) keep(num uint64, on bool) int {
	c.Lock()
	defer c.Unlock()
	m := c.find(num)
	if m == nil {
		return 0
	}
	c.count(m, on)
	return c.kept[m.addr]
}

// count is keep with the mutex held.
func (c *crowd) count(m *member, on bool) {
	if m.kept == on {
		return
	}
	if m.kept = on; on {
		if c.kept == nil {
			c.kept = map[netip.Addr]int{}
		}
		c.kept[m.addr]++
		return
	}
	if c.kept[m.addr]--; c.kept[m.addr] == 0 {
		delete(c.kept, m.addr)
	}
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
	own.asks = s
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
		m.asks = nil
	}
}

// Before, Leave and Keep make a session the census of its engine.
func (s *session) Before(sameClient bool) int { return s.r.crowd.before(s, sameClient) }
func (s *session) Leave()                     { s.r.crowd.leave(s.num) }
func (s *session) Keep(on bool) int           { return s.r.crowd.keep(s.num, on) }

// recount lets the engine ask the census again.
func (s *session) recount() {
	if s.ended || s.dial != nil || s.dialled {
		return
	}
	defer s.guard()
	s.step(faults.Input{Kind: faults.InTick})
	s.l.enqueue(&s.task)
}
