package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"crimp/middlebox"
)

// A capture as a file that Wireshark and tcpdump read: pcapng
// (draft-ietf-opsawg-pcapng), packets that begin with the IP header (LINKTYPE_RAW).
//
// It is our own because the library at hand makes the program 2 MB larger and knows
// no comments on packets, which is how a fault is seen where it acted. The headers
// are made up: a capture has bytes, not segments. What follows from bytes is true:
// addresses, ports, sequence numbers, times, order and ends.

const (
	linkRaw    = 101
	packetMost = 32 << 10 // of data; an IP packet has 64 KiB
)

// TCP's flags.
const (
	tcpFin = 1 << iota
	tcpSyn
	tcpRst
	_
	tcpAck
)

// pcapng writes the chunks of a capture.
type pcapng struct {
	w       *bufio.Writer // it keeps the first error
	flows   []*flow       // of sessions that go on
	remarks string        // for the next packet of any flow
	lost    uint64
	block   []byte
	packet  []byte
}

// flow is one side's connection. Its ends are 0, the peer, and 1, the box, by whose
// packets go from there.
type flow struct {
	session, side string

	addr    [2]netip.AddrPort
	base    [2]int64  // the place in the stream of the first byte in the file
	next    [2]uint32 // sequence number
	remarks string    // for the next packet
	last    time.Time
}

// sent is what a packet says.
type sent struct {
	at    time.Time
	from  int // an end
	seq   uint32
	flags byte
	scale bool // a SYN's option; without it Wireshark finds windows too small
	data  []byte
	size  int // of the data as they were
}

func newPcapng(w *bufio.Writer) *pcapng {
	p := &pcapng{w: w}
	p.begin()
	p.u32(0x1a2b3c4d) // byte order
	p.u16(1)
	p.u16(0)
	p.block = binary.LittleEndian.AppendUint64(p.block, ^uint64(0)) // a section of unknown length
	p.option(4, []byte("crimp "+build().Version))
	p.finish(0x0a0d0d0a)
	p.begin()
	p.u16(linkRaw)
	p.u16(0)
	p.u32(0)
	p.option(2, []byte("crimp"))
	p.option(9, []byte{9}) // times are nanoseconds
	p.finish(1)
	return p
}

// chunk writes what there is of a chunk to be written.
func (p *pcapng) chunk(k middlebox.Chunk) {
	if k.What == "lost" {
		p.lost += uint64(k.Chunks)
		p.remarks = remark(p.remarks, fmt.Sprintf("before this %s missing, %s", plural(k.Chunks, "piece"), plural(k.Bytes, "byte")))
		return
	}
	side := k.Side
	if k.What == "fired" { // it is seen where its damage goes to
		side = map[string]string{"downstream": "client", "upstream": "server"}[k.Direction]
	}
	f := p.flow(k.Session, side)
	switch {
	case k.What == "opened":
		p.open(f, k)
	case k.What == "closed":
		p.close(func(f *flow) bool { return f.session == k.Session })
	case f == nil: // a fault on a side that is not captured
	case k.What == "fired":
		f.remarks = remark(f.remarks, comma(fmt.Sprintf("%s at %s", k.Rule, k.At), ending(k.End), fmt.Sprintf("event %d", k.Seq)))
		f.last = k.Time
	default:
		p.said(f, k)
	}
}

func remark(before, text string) string {
	if before == "" {
		return text
	}
	return before + "\n" + text
}

func (p *pcapng) flow(session, side string) *flow {
	i := slices.IndexFunc(p.flows, func(f *flow) bool { return f.session == session && f.side == side })
	if i < 0 {
		return nil
	}
	return p.flows[i]
}

// close forgets connections that are over. What is still to be remarked of one stands
// on a packet without data.
func (p *pcapng) close(over func(*flow) bool) {
	p.flows = slices.DeleteFunc(p.flows, func(f *flow) bool {
		if !over(f) {
			return false
		}
		if f.remarks != "" {
			p.send(f, sent{at: f.last, from: 1, seq: f.next[1], flags: tcpAck})
		}
		return true
	})
}

// open begins a connection: with a handshake, if it is seen from its beginning.
func (p *pcapng) open(there *flow, k middlebox.Chunk) {
	if there != nil {
		if k.Stood { // told again behind a gap
			return
		}
		p.close(func(f *flow) bool { return f == there }) // a proxy's session has turned to another server
	}
	f := &flow{session: k.Session, side: k.Side, addr: [2]netip.AddrPort{k.Peer, k.Own}, base: [2]int64{k.Offset, k.Given}, remarks: k.Session + " " + k.Side, last: k.Time}
	p.flows = append(p.flows, f)
	if k.Stood {
		f.remarks += ", which stood before"
		f.next = [2]uint32{1, 1}
		return
	}
	first := 0
	if k.Side == "server" {
		first = 1
	}
	p.send(f, sent{at: k.Time, from: first, flags: tcpSyn, scale: true})
	f.next[first] = 1
	p.send(f, sent{at: k.Time, from: 1 - first, flags: tcpSyn | tcpAck, scale: true})
	f.next[1-first] = 1
	p.send(f, sent{at: k.Time, from: first, seq: 1, flags: tcpAck})
}

// said writes bytes, a FIN or a RST.
func (p *pcapng) said(f *flow, k middlebox.Chunk) {
	from := 0
	if k.Way == "out" {
		from = 1
	}
	s := sent{at: k.Time, from: from, seq: uint32(1 + k.Offset - f.base[from]), flags: tcpAck}
	switch k.What {
	case "fin":
		s.flags |= tcpFin
		f.next[from] = s.seq + 1
		p.send(f, s)
	case "rst":
		s.flags |= tcpRst
		s.seq = f.next[from] // behind a FIN, if there was one
		p.send(f, s)
	case "bytes":
		f.next[from] = s.seq + uint32(k.Bytes)
		data := k.Data
		for left := int(k.Bytes); left > 0; {
			s.size = min(left, packetMost)
			s.data = data[:min(len(data), s.size)]
			p.send(f, s)
			data, left, s.seq = data[len(s.data):], left-s.size, s.seq+uint32(s.size)
		}
	}
}

// send writes a packet, with what is to be remarked there.
func (p *pcapng) send(f *flow, s sent) {
	p.packet = ipPacket(p.packet[:0], f, s)
	whole := len(p.packet) + s.size - len(s.data)
	p.begin()
	p.u32(0)
	at := uint64(s.at.UnixNano())
	p.u32(uint32(at >> 32))
	p.u32(uint32(at))
	p.u32(uint32(len(p.packet)))
	p.u32(uint32(whole))
	p.block = padded(append(p.block, p.packet...))
	for _, text := range []string{p.remarks, f.remarks} {
		if text != "" {
			p.option(1, []byte(text))
		}
	}
	p.remarks, f.remarks, f.last = "", "", s.at
	p.finish(6)
}

// end writes what is left: remarks, and how many pieces are missing.
func (p *pcapng) end() {
	p.close(func(*flow) bool { return true })
	p.begin()
	p.u32(0)
	now := uint64(time.Now().UnixNano())
	p.u32(uint32(now >> 32))
	p.u32(uint32(now))
	p.option(5, binary.LittleEndian.AppendUint64(nil, p.lost)) // isb_ifdrop
	p.finish(5)
}

// A block is its type, its length, what is in it, options, and its length again.

func (p *pcapng) begin()       { p.block = append(p.block[:0], make([]byte, 8)...) }
func (p *pcapng) u16(n uint16) { p.block = binary.LittleEndian.AppendUint16(p.block, n) }
func (p *pcapng) u32(n uint32) { p.block = binary.LittleEndian.AppendUint32(p.block, n) }

func (p *pcapng) option(code uint16, value []byte) {
	value = value[:min(len(value), 1<<16-1)]
	p.u16(code)
	p.u16(uint16(len(value)))
	p.block = padded(append(p.block, value...))
}

func padded(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func (p *pcapng) finish(kind uint32) {
	p.u32(0) // no more options
	n := uint32(len(p.block) + 4)
	p.u32(n)
	binary.LittleEndian.PutUint32(p.block, kind)
	binary.LittleEndian.PutUint32(p.block[4:], n)
	p.w.Write(p.block)
}

// ipPacket appends the packet: an IP header, TCP's, and the data.
func ipPacket(b []byte, f *flow, s sent) []byte {
	from, to := f.addr[s.from], f.addr[1-s.from]
	header := 20
	if s.scale {
		header = 24
	}
	src, dst := ipBytes(from.Addr(), to.Addr())
	b = ipHeader(b, src, dst, header+s.size)
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	b = binary.BigEndian.AppendUint32(b, s.seq)
	ack := uint32(0)
	if s.flags&tcpAck != 0 {
		ack = f.next[1-s.from]
	}
	b = binary.BigEndian.AppendUint32(b, ack)
	b = append(b, byte(header/4<<4), s.flags, 0xff, 0xff, 0, 0, 0, 0)
	if s.scale {
		b = append(b, 3, 3, 14, 0)
	}
	b = append(b, s.data...)
	if len(s.data) == s.size { // of what is not all there nobody can tell
		pseudo := append(append([]byte(nil), src...), dst...) // RFC 9293 section 3.1
		sum := wordSum(6+uint32(header+s.size), pseudo)
		binary.BigEndian.PutUint16(b[at+16:], checksum(wordSum(sum, b[at:])))
	}
	return b
}

// ipHeader appends that of IPv4 (RFC 791) or of IPv6 (RFC 8200).
func ipHeader(b, from, to []byte, size int) []byte {
	if len(from) == 16 {
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(size))
		b = append(b, 6, 64)
		return append(append(b, from...), to...)
	}
	at := len(b)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(20+size))
	b = append(b, 0, 0, 0x40, 0, 64, 6, 0, 0)
	b = append(append(b, from...), to...)
	binary.BigEndian.PutUint16(b[at+10:], checksum(wordSum(0, b[at:])))
	return b
}

// ipBytes are two addresses of one family; of one that is not known, zeros.
func ipBytes(from, to netip.Addr) (a, b []byte) {
	bytes := func(x netip.Addr) []byte {
		switch {
		case from.Is6() || to.Is6():
			if !x.IsValid() {
				return make([]byte, 16)
			}
			all := x.As16()
			return all[:]
		case !x.IsValid():
			return make([]byte, 4)
		}
		return x.AsSlice()
	}
	return bytes(from), bytes(to)
}

// wordSum and checksum are the internet's (RFC 1071).
func wordSum(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

func checksum(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
