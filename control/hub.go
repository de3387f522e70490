package control

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

// This file keeps subscribers up to date. There is no central distributor: each
// subscription has a goroutine with a cursor of its own on the journal, which
// pushes into its connection's queue. A subscriber that does not read fills
// that queue, and nothing else.

// maxSubs bounds the subscriptions of a connection.
const maxSubs = 16

// statsTopic is the topic that is not an event.
const statsTopic = "stats"

// statsEvery is how often stats are told.
const statsEvery = time.Second

// subscription is one subscriber, to events or to a capture: a connection may have
// several.
type subscription struct {
	id     int64
	conn   *conn
	all    bool // every event
	topics []string
	stats  bool
	rate   *allowance // of traffic events, or of chunks; nil: all
	film   *middlebox.Capture
	stop   chan struct{} // closed by unsubscribe
}

// subscribe takes the snapshot and starts the pump at its sequence number, after
// the answer is queued: so nothing is told before it, twice, or not at all.
func subscribe(c *call, p SubscribeParams) (SubscribeResult, error) {
	for i, topic := range p.Topics {
		if topic == statsTopic {
			continue
		}
		if err := checkTopic("topics["+strconv.Itoa(i)+"]", topic); err != nil {
			return SubscribeResult{}, err
		}
	}
	sub, err := c.enroll("subscribe", "; see event.list and wait")
	if err != nil {
		return SubscribeResult{}, err
	}
	sub.all = len(p.Topics) == 0
	for _, topic := range p.Topics {
		if topic == statsTopic {
			sub.stats = true
		} else {
			sub.topics = append(sub.topics, topic)
		}
	}
	if p.Rate != nil {
		sub.rate = newAllowance(*p.Rate)
	}
	state := c.srv.box.State()
	c.then = func() { c.conn.work.Go(func() { sub.pump(state.Seq) }) }
	return SubscribeResult{Sub: sub.id, Seq: state.Seq, State: state}, nil
}

func unsubscribe(c *call, p UnsubscribeParams) (Nothing, error) {
	if c.conn == nil {
		return Nothing{}, faults.Errorf(faults.Invalid, "method", "unsubscribe needs the WebSocket that subscribed")
	}
	sub := c.conn.subs[p.Sub]
	if sub == nil {
		return Nothing{}, faults.Errorf(faults.NotFound, "sub", "no subscription %d on this connection", p.Sub)
	}
	delete(c.conn.subs, p.Sub)
	if sub.film != nil {
		sub.film.Stop()
	} else {
		c.conn.stream.forget(sub)
	}
	close(sub.stop)
	return Nothing{}, nil
}

// checkTopic refuses what is neither an event type nor the first word of one.
func checkTopic(field, topic string) error {
	known := eventTypesAndWords()
	if slices.Contains(known, topic) {
		return nil
	}
	if field != "type" {
		known = append(known, statsTopic)
	}
	hint := faults.Hint(topic, known)
	if hint == "" {
		hint = "; expected one of " + strings.Join(known, ", ")
	}
	return faults.Errorf(faults.Invalid, field, "no event type %.60q%s", topic, hint)
}

// eventTypesAndWords are the event types and their first words.
func eventTypesAndWords() []string {
	all := slices.Clone(eventTypes)
	for _, t := range eventTypes {
		if word, _, _ := strings.Cut(t, "."); !slices.Contains(all, word) {
			all = append(all, word)
		}
	}
	return all
}

// wants says whether events of that type are for the subscriber.
func (sub *subscription) wants(eventType string) bool {
	if sub.all {
		return true
	}
	for _, t := range sub.topics {
		if rest, ok := strings.CutPrefix(eventType, t); ok && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}

// traffic says whether events of that type come with what peers do, and so may
// come by the thousand; the others tell of a change, and there is no rate to them.
func traffic(eventType string) bool {
	word, _, _ := strings.Cut(eventType, ".")
	return word == "session" || word == "exchange" || word == "fault" || eventType == "rule.missed"
}

// allowance lets so many a second through, and as many at once after a second's
// quiet.
type allowance struct {
	rate, left float64
	at         time.Time // when left was so much
}

func newAllowance(rate int) *allowance {
	return &allowance{rate: float64(rate), left: float64(rate), at: time.Now()}
}

func (a *allowance) take(now time.Time) bool {
	if a.room(now) < 1 {
		return false
	}
	a.spend(1)
	return true
}

// room is how many it would let through now.
func (a *allowance) room(now time.Time) int {
	a.left = min(a.rate, a.left+a.rate*now.Sub(a.at).Seconds())
	a.at = now
	return int(a.left)
}

// spend takes n at once; without an allowance there is nothing to spend.
func (a *allowance) spend(n int) {
	if a != nil {
		a.left -= float64(n)
	}
}

// wait is how long until the next one, if there is no room.
func (a *allowance) wait() time.Duration {
	return time.Duration((1 - a.left) / a.rate * float64(time.Second))
}

// pump brings a subscriber every event after seq until it is stopped.
func (sub *subscription) pump(seq int64) {
	c := sub.conn
	p := &pumping{sub: sub, seq: seq, events: make([]middlebox.Event, 64)}
	defer func() {
		if p.at != nil {
			p.at.Close()
		}
		c.stream.forget(sub)
	}()
	var tick <-chan time.Time
	if sub.stats {
		t := time.NewTicker(statsEvery)
		defer t.Stop()
		tick = t.C
		p.tellStats()
	}
	p.open()
	for {
		next := p.round()
		select {
		case <-c.ctx.Done():
			return
		case <-sub.stop:
			return
		case <-tick:
			p.tellStats()
		case <-next:
		}
	}
}

// pumping is the state of a pump.
type pumping struct {
	sub    *subscription
	seq    int64 // of the last event looked at
	at     cursor
	behind bool // told nothing more until a resync
	events []middlebox.Event
	last   map[string]RouteStats // of the last stats
	when   time.Time
}

// open places the cursor after p.seq. Who asked for stats alone needs none.
func (p *pumping) open() {
	if p.at != nil {
		p.at.Close()
		p.at = nil
	}
	if p.sub.all || len(p.sub.topics) > 0 {
		p.at = p.sub.conn.srv.watch(p.seq)
	}
}

// round tells some events, and returns what to wait for before the next.
func (p *pumping) round() <-chan struct{} {
	if p.at == nil {
		return nil
	}
	out := p.sub.conn.stream
	if p.behind && !p.resync() {
		return out.whenDrained()
	}
	ready := p.at.Ready() // before Next: nothing comes in unnoticed between them
	n, lost := p.at.Next(p.events)
	fits := lost == 0
	now := time.Now()
	for _, e := range p.events[:n] {
		p.seq = e.Seq
		if fits && p.sub.wants(e.Type) && (p.sub.rate == nil || !traffic(e.Type) || p.sub.rate.take(now)) {
			fits = out.offer(p.sub, encodeNote("event", EventNote{p.sub.id, e}), false)
		}
	}
	clear(p.events[:n])
	if !fits {
		p.behind = true
		out.forget(p.sub)
		return out.whenDrained()
	}
	if n > 0 {
		return always
	}
	return ready
}

// resync starts the subscriber anew, once everything it was sent is out. It
// says whether it did.
func (p *pumping) resync() bool {
	out := p.sub.conn.stream
	select {
	case <-out.whenDrained():
	default:
		return false
	}
	state := p.sub.conn.srv.box.State()
	if !out.offer(p.sub, encodeNote("resync", ResyncNote{p.sub.id, state.Seq, state}), false) {
		return false
	}
	p.behind, p.seq = false, state.Seq
	p.open()
	return true
}

// tellStats sends the figures; a subscriber that has not read the last ones
// gets these instead.
func (p *pumping) tellStats() {
	c := p.sub.conn
	now := time.Now()
	note := StatsNote{Sub: p.sub.id, Seq: p.seq, Time: now, Routes: routeStats(c.srv.box.Stats())}
	seconds := now.Sub(p.when).Seconds()
	this := make(map[string]RouteStats, len(note.Routes))
	for i := range note.Routes {
		r := &note.Routes[i]
		this[r.Name] = *r
		if before, ok := p.last[r.Name]; ok && seconds > 0 {
			r.Rates = &Rates{
				Bytes: middlebox.Flow{
					Upstream:   perSecond(r.Bytes.Upstream-before.Bytes.Upstream, seconds),
					Downstream: perSecond(r.Bytes.Downstream-before.Bytes.Downstream, seconds),
				},
				Exchanges: float64(r.Exchanges-before.Exchanges) / seconds,
			}
		}
	}
	p.last, p.when = this, now
	c.stream.offer(p.sub, encodeNote("stats", note), true)
}

func perSecond(n int64, seconds float64) int64 { return int64(float64(n) / seconds) }

// routeStats picks what stats tell out of the box's figures.
func routeStats(s middlebox.Stats) []RouteStats {
	out := make([]RouteStats, 0, len(s.Routes))
	for _, r := range s.Routes {
		out = append(out, RouteStats{Name: r.Route, Sessions: r.Sessions, Bytes: r.Bytes, Exchanges: r.Exchanges})
	}
	return out
}
