package middlebox

import (
	"net/netip"
	"time"

	"crimp/faults/wire"
)

// Chunk is one thing that a capture tells, in the order in which they were. Which
// fields it has depends on what it is.
type Chunk struct {
	Time time.Time `json:"time"`
	// What is bytes; opened: that side's connection stands; fin, rst: how it ended, or
	// was ended; fired: a fault acted; closed: the session is over; lost: what is not
	// here because it was read too slowly; ended: the capture is over.
	What    string `json:"what" enum:"opened,bytes,fin,rst,fired,closed,lost,ended"`
	Session string `json:"session,omitempty"`
	// Side is whose connection; way is in for what was read from there and out for what
	// the system took to be sent there; direction follows from both.
	Side      string `json:"side,omitempty" enum:"client,server"`
	Way       string `json:"way,omitempty" enum:"in,out"`
	Direction string `json:"direction,omitempty" enum:"upstream,downstream"`
	// Offset is the place in the stream: of in, as positions count (byte:N); of out, the
	// bytes that had gone out before.
	Offset int64  `json:"offset,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"` // how many there were; of lost, all together
	Data   []byte `json:"data,omitempty"`  // the first of them, base64 in JSON

	// Of opened: both addresses; how much that side had been given; and whether it stood
	// before the capture saw it.
	Own   netip.AddrPort `json:"own,omitzero"`
	Peer  netip.AddrPort `json:"peer,omitzero"`
	Given int64          `json:"given,omitempty"`
	Stood bool           `json:"stood,omitempty"`

	// Of fired: the number of its event, and what that says. Bytes had gone out before.
	Seq   int64  `json:"seq,omitempty"`
	Rule  string `json:"rule,omitempty"`
	Fault string `json:"fault,omitempty"`
	At    string `json:"at,omitempty"`
	End   string `json:"end,omitempty"`

	Chunks int64 `json:"chunks,omitempty"` // of lost
}

// What a chunk is, packed.
const (
	chunkOpened = iota
	chunkBytes
	chunkFin
	chunkRst
	chunkFired
	chunkClosed
	chunkLost
)

var chunkWords = [...]string{"opened", "bytes", "fin", "rst", "fired", "closed", "lost"}

// ways of a chunk.
const (
	wayIn  = 0
	wayOut = 1
)

// sighting is a Chunk in the making.
type sighting struct {
	what   byte
	at     time.Time
	route  string
	num    uint64 // of the session
	leg    wire.Direction
	way    byte
	offset int64
	bytes  int64
	data   []byte
	opened *legNames
	fired  *firing
	seq    int64
	chunks int64
}

// legNames is what opened tells of a leg.
type legNames struct {
	own, peer netip.AddrPort
	given     int64
	stood     bool
}

// chunkRoom is more than what is packed of a chunk besides what sighting.room adds.
const chunkRoom = 192

// room is at least as much as the chunk takes when it is packed.
func (k *sighting) room() int {
	n := chunkRoom + len(k.route) + len(k.data)
	if f := k.fired; f != nil {
		n += len(f.rule) + len(f.data.Fault) + len(f.data.At) + len(f.data.End)
	}
	return n
}

func (k *sighting) pack(p *packer) {
	p.byte(k.what)
	p.time(k.at)
	if k.what == chunkLost {
		p.num(k.chunks)
		p.num(k.bytes)
		return
	}
	p.str(k.route)
	p.num(int64(k.num))
	p.byte(byte(k.leg))
	p.byte(k.way)
	p.num(k.offset)
	p.num(k.bytes)
	switch k.what {
	case chunkBytes:
		p.raw(k.data)
	case chunkOpened:
		p.addr(k.opened.own)
		p.addr(k.opened.peer)
		p.num(k.opened.given)
		p.byte(bit(k.opened.stood))
	case chunkFired:
		d := &k.fired.data
		p.num(k.seq)
		p.strs([]string{k.fired.rule, d.Fault, d.At, d.End})
	}
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// unpack reads the next chunk of u; its data are u's.
func (c *Chunk) unpack(u *unpacker) {
	what := u.byte()
	*c = Chunk{What: chunkWords[what], Time: u.time()}
	if what == chunkLost {
		c.Chunks, c.Bytes = u.num(), u.num()
		return
	}
	c.Session = sessionID(u.str(), uint64(u.num()))
	leg, way := wire.Direction(u.byte()), u.byte()
	c.Offset, c.Bytes = u.num(), u.num()
	switch what {
	case chunkClosed:
		return
	case chunkFired: // the leg is the one that what it damages flows to
		c.Direction = leg.String()
		c.Seq = u.num()
		w := u.strs()
		c.Rule, c.Fault, c.At, c.End = w[0], w[1], w[2], w[3]
		return
	}
	c.Side = [...]string{"client", "server"}[leg]
	if what == chunkOpened {
		c.Own, c.Peer, c.Given, c.Stood = u.addr(), u.addr(), u.num(), u.byte() == 1
		return
	}
	if c.Way, c.Direction = "in", leg.Other().String(); way == wayOut {
		c.Way, c.Direction = "out", leg.String()
	}
	if what == chunkBytes {
		c.Data = u.raw()
	}
}
