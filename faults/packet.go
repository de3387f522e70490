package faults

import (
	"net/netip"

	"crimp/faults/wire"
)

// Packet faults act beneath TCP: segments of one connection vanish before TCP sees
// them, by a filter on its socket (classic BPF, Linux). So retransmissions,
// back-off and time-outs are the kernel's own and real, on this session alone.
// Setting such a rule needs no right; arming it does, and says so.

// Filter is what of a peer's segments vanishes on their way in. The zero value
// lets everything through. Filters of several rules add up.
type Filter struct {
	All  bool    // all, and nothing is written either
	Fin  bool    // those with FIN, data on them included
	Loss float32 // this share
}

func (f Filter) with(g Filter) Filter {
	return Filter{All: f.All || g.All, Fin: f.Fin || g.Fin, Loss: 1 - (1-f.Loss)*(1-g.Loss)}
}

// Filter puts a filter on the leg of a side until the rule goes, in place of this
// rule's last one. Under All nothing is let out to that side either: what would
// go waits, and goes when the rule does.
func (w *Writer) Filter(side string, f Filter) {
	b, leg := w.slot.bond, wire.Downstream
	if side == "server" {
		leg = wire.Upstream
	}
	b.filter[leg] = f
	if l := &w.slot.lane.e.lanes[leg]; f.All && l.gag == nil {
		l.gag = b
	}
}

// refilter tells the legs whose filter has changed.
func (e *Engine) refilter() {
	for d := range e.lanes {
		l := &e.lanes[d]
		var f Filter
		for _, b := range e.bonds {
			f = f.with(b.filter[d])
		}
		if f != l.filter && !l.waits() {
			l.filter = f
			e.actions = append(e.actions, Action{Op: OpFilter, Dir: l.dir, Filter: f})
		}
	}
}

// ungag lets a lane speak again whose rule is gone.
func (e *Engine) ungag(b *bond) {
	for d := range e.lanes {
		l := &e.lanes[d]
		if l.gag != b {
			continue
		}
		l.gag = nil
		for _, other := range e.bonds {
			if e.o.Plan.armed[other.state] != nil && other.filter[d].All {
				l.gag = other
			}
		}
	}
}

// PacketKinds are the names of the faults that need the right to filter packets.
func PacketKinds() (names []string) {
	for _, s := range allKinds() {
		if s.group == Packet && s.composite == nil {
			names = append(names, s.name)
		}
	}
	return names
}

// NeedsPackets says whether the rule needs the right to filter packets, and which
// fault is the nearest without.
func (c *Compiled) NeedsPackets() (nearest string, yes bool) {
	for _, p := range c.parts {
		switch {
		case p.prep.optional:
		case p.prep.kind.group == Packet, p.prep.door == DoorDrop:
			return p.prep.kind.nearest, true
		}
	}
	return "", false
}

// Caller is those whose connecting a listening socket is not to hear of.
type Caller struct {
	From netip.Prefix // the zero value: everyone
	Port uint16       // 0: any
}

// Drops are those whose SYNs are to be lost.
func (p *Plan) Drops() (out []Caller) {
	for _, x := range p.connect {
		if x.prep.door == DoorDrop {
			c, _ := parseClients(x.rule.client)
			out = append(out, Caller{c.prefix, c.port})
		}
	}
	return out
}
