package middlebox

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// Watching is free: what happens with every session and every exchange is not
// kept as the objects that people see, but packed, a hundred bytes or two of
// no interest to the garbage collector. The objects are made when somebody reads.
// Packing allocates nothing, and a journal that is full costs tens of MiB, not hundreds.

// recordKind says what a record is of.
type recordKind uint8

const (
	noRecord recordKind = iota // an event kept as it is
	sessionOpened
	sessionClosed
	exchangeStarted
	exchangeFinished
	faultFired
)

func (k recordKind) String() string {
	return [...]string{"", "session.opened", "session.closed", "exchange.started", "exchange.finished", "fault.fired"}[k]
}

// packer appends to a record; unpacker reads in the same order.
type packer []byte

func (p *packer) byte(b byte)  { *p = append(*p, b) }
func (p *packer) str(s string) { p.num(int64(len(s))); *p = append(*p, s...) }
func (p *packer) raw(b []byte) { p.num(int64(len(b))); *p = append(*p, b...) }
func (p *packer) flow(f Flow)  { p.num(f.Upstream); p.num(f.Downstream) }

// num takes a byte for a number from -64 to 63, as nearly all are.
func (p *packer) num(n int64) {
	if small := uint64(n)<<1 ^ uint64(n>>63); small < 0x80 {
		*p = append(*p, byte(small))
		return
	}
	*p = binary.AppendVarint(*p, n)
}

// time keeps the wall clock's nanoseconds; 0 is no time.
func (p *packer) time(t time.Time) {
	n := int64(0)
	if !t.IsZero() {
		n = t.UnixNano()
	}
	*p = binary.LittleEndian.AppendUint64(*p, uint64(n))
}

func (p *packer) strs(all []string) {
	p.num(int64(len(all)))
	for _, s := range all {
		p.str(s)
	}
}

func (p *packer) addr(a netip.AddrPort) {
	from := len(*p)
	p.byte(0)
	*p, _ = a.AppendBinary(*p) // never fails
	(*p)[from] = byte(len(*p) - from - 1)
}

type unpacker []byte

func (u *unpacker) byte() byte {
	b := (*u)[0]
	*u = (*u)[1:]
	return b
}

func (u *unpacker) num() int64 {
	n, size := binary.Varint(*u)
	*u = (*u)[size:]
	return n
}

func (u *unpacker) raw() []byte {
	n := u.num()
	b := (*u)[:n:n]
	*u = (*u)[n:]
	return b
}

func (u *unpacker) str() string { return string(u.raw()) }
func (u *unpacker) flow() Flow  { return Flow{Upstream: u.num(), Downstream: u.num()} }

func (u *unpacker) time() time.Time {
	n := int64(binary.LittleEndian.Uint64(*u))
	if *u = (*u)[8:]; n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

func (u *unpacker) strs() (all []string) {
	for range u.num() {
		all = append(all, u.str())
	}
	return all
}

func (u *unpacker) addr() (a netip.AddrPort) {
	n := int(u.byte())
	a.UnmarshalBinary((*u)[:n])
	*u = (*u)[n:]
	return a
}

// sessionRecord is a session as it stood when it was told of.
type sessionRecord struct {
	route     string
	num       uint64
	client    netip.AddrPort
	upstream  string
	protocol  faults.Protocol
	opened    time.Time
	closed    time.Time // zero: it goes on
	bytes     Flow
	held      Flow
	exchanges int64
	outcome   string
	ended     Ended
	cause     string
	rules     []string
	odd       faults.Odd
	idle      time.Duration
}

func sessionID(route string, num uint64) string { return route + "/" + strconv.FormatUint(num, 10) }

func (r *sessionRecord) pack(p *packer) {
	p.str(r.route)
	p.num(int64(r.num))
	p.addr(r.client)
	p.str(r.upstream)
	p.byte(byte(r.protocol))
	p.time(r.opened)
	p.time(r.closed)
	p.flow(r.bytes)
	p.flow(r.held)
	p.num(r.exchanges)
	p.str(r.outcome)
	p.str(r.ended.Client)
	p.str(r.ended.Server)
	p.str(r.cause)
	p.strs(r.rules)
	p.byte(byte(r.odd))
	p.num(int64(r.idle))
}

func (r *sessionRecord) unpack(u *unpacker) {
	*r = sessionRecord{route: u.str(), num: uint64(u.num()), client: u.addr(), upstream: u.str(), protocol: faults.Protocol(u.byte()),
		opened: u.time(), closed: u.time(), bytes: u.flow(), held: u.flow(), exchanges: u.num(), outcome: u.str()}
	r.ended.Client, r.ended.Server, r.cause, r.rules, r.odd, r.idle = u.str(), u.str(), u.str(), u.strs(), faults.Odd(u.byte()), time.Duration(u.num())
}

// item is the session as people see it.
func (r *sessionRecord) item() SessionItem {
	it := SessionItem{
		ID: sessionID(r.route, r.num), Route: r.route, Client: r.client.String(), Upstream: r.upstream, Opened: r.opened, Peer: r.client,
		Protocol: protocolWord(r.protocol), Bytes: r.bytes, Held: r.held, Exchanges: r.exchanges, Rules: r.rules, Odd: r.odd.Words(), Outcome: r.outcome,
	}
	if r.closed.IsZero() {
		idle := faults.Duration(r.idle)
		it.Idle = &idle
		return it
	}
	it.Closed, it.Ended, it.Cause = &r.closed, &r.ended, r.cause
	return it
}

// packExchange appends exchange x of a session.
func packExchange(p *packer, route string, session uint64, client netip.AddrPort, x *faults.Exchange) {
	p.str(route)
	p.num(int64(session))
	p.addr(client)
	p.num(int64(x.N))
	packHead(p, &x.Head)
	p.num(x.Asked)
	p.byte(byte(x.Said))
	p.num(int64(x.Status))
	p.num(x.Declared)
	p.num(x.Sent)
	p.str(responseEnd(x))
	p.str(x.Outcome)
	p.byte(byte(x.Odd))
	p.num(int64(len(x.Fired)))
	for i := range x.Fired {
		f := firedOf(&x.Fired[i])
		p.strs([]string{f.Rule, f.Fault, f.Direction, f.Part, f.At, f.End})
		p.num(f.Offset)
		p.num(f.Message)
	}
	p.time(x.Started)
	p.time(x.Finished)
}

// unpackExchange gives the exchange as people see it, and what filters ask of it.
func unpackExchange(u *unpacker) (ExchangeItem, *heard) {
	route, num, client := u.str(), uint64(u.num()), u.addr()
	n := uint64(u.num())
	h := &heard{facts: faults.Facts{Session: num, Client: client, Exchange: n, Reused: n > 1, HasRequest: true, Request: unpackHead(u)}}
	session := sessionID(route, num)
	it := ExchangeItem{ID: sessionID(session, n), Route: route, Session: session, Client: client.String()}
	it.Request = requestOf(h.facts.Request)
	it.Request.Bytes, it.Request.Delivered = u.num(), faults.Delivered(u.byte()).String()
	it.Response.Status = int(u.num())
	h.facts.Status = it.Response.Status
	if declared := u.num(); declared >= 0 {
		it.Response.Declared = &declared
	}
	it.Response.Sent, it.Response.End, it.Outcome, it.Odd = u.num(), u.str(), u.str(), faults.Odd(u.byte()).Words()
	it.Rules = []Fired{}
	if it.Odd == nil {
		it.Odd = []string{}
	}
	for range u.num() {
		w := u.strs()
		it.Rules = append(it.Rules, Fired{Rule: w[0], Fault: w[1], Direction: w[2], Part: w[3], At: w[4], End: w[5], Offset: u.num(), Message: u.num()})
	}
	it.Started = u.time()
	if finished := u.time(); !finished.IsZero() {
		it.Finished = &finished
	}
	return it, h
}

// requestOf is what people see of a request's head.
func requestOf(h *wire.Head) (r Request) {
	if h == nil {
		return r
	}
	r.Method, r.Target = string(h.Method()), string(h.Target())
	if i := h.Find("Host"); i >= 0 {
		r.Host = string(h.Value(i))
	}
	return r
}

// How a head is packed.
const (
	headNone = iota // its line is not known
	headWhole
	headWords // too long to keep: method, target and Host only
)

// keptHead is the longest request head that filters can look into; of a longer
// one they know the line and Host.
const keptHead = 8 << 10

func packHead(p *packer, h *wire.Head) {
	switch {
	case h.StartStop == 0:
		p.byte(headNone)
		return
	case len(h.Raw) > keptHead:
		p.byte(headWords)
		r := requestOf(h)
		p.strs([]string{r.Method, r.Target, r.Host})
		return
	}
	p.byte(headWhole)
	p.raw(h.Raw)
}

func unpackHead(u *unpacker) *wire.Head {
	switch u.byte() {
	case headNone:
		return nil
	case headWords:
		w := u.strs()
		return faults.RequestHead(w[0], w[1], w[2])
	}
	return wire.ReadHead(u.raw())
}

// packAbout appends what a note is about: an exchange, or none and the session.
func packAbout(p *packer, route string, session uint64, client netip.AddrPort, x *faults.Exchange) {
	if x != nil {
		p.byte(1)
		packExchange(p, route, session, client, x)
		return
	}
	p.byte(0)
	p.str(route)
	p.num(int64(session))
	p.addr(client)
}

func unpackAbout(u *unpacker) (route, session, exchange string, h *heard) {
	if u.byte() == 1 {
		it, h := unpackExchange(u)
		return it.Route, it.Session, it.ID, h
	}
	route = u.str()
	num := uint64(u.num())
	return route, sessionID(route, num), "", &heard{facts: faults.Facts{Session: num, Client: u.addr()}}
}

// pack appends what a firing says beside what it is about.
func (d *FiredData) pack(p *packer) {
	for _, s := range [...]string{d.Fault, d.Direction, d.Part, d.At, d.End} {
		p.str(s)
	}
	for _, n := range [...]int64{d.Offset, d.Message, d.Bytes, d.Acked} {
		p.num(n)
	}
}

func (d *FiredData) unpack(u *unpacker) {
	d.Fault, d.Direction, d.Part, d.At, d.End = u.str(), u.str(), u.str(), u.str(), u.str()
	d.Offset, d.Message, d.Bytes, d.Acked = u.num(), u.num(), u.num(), u.num()
}

// event makes of a record what people see.
func (k recordKind) event(record []byte) (e Event) {
	u := unpacker(record)
	e.Type = k.String()
	switch k {
	case sessionOpened, sessionClosed:
		var r sessionRecord
		r.unpack(&u)
		it := r.item()
		e.Route, e.Session, e.Data = it.Route, it.ID, it
		e.heard = &heard{facts: faults.Facts{Session: r.num, Client: r.client}}
	case faultFired:
		var d FiredData
		e.Route, e.Session, e.Exchange, e.heard = unpackAbout(&u)
		e.Rule = u.str()
		d.unpack(&u)
		e.Data, e.heard.direction = d, d.Direction
	default:
		it, h := unpackExchange(&u)
		e.Route, e.Session, e.Exchange, e.Data, e.heard = it.Route, it.Session, it.ID, it, h
	}
	return e
}
