package middlebox

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// Some simulated worlds are captured, by readers of all tempers. Captures take part
// in nothing; what they tell must be what the peers said and heard.

// filming is a capture in a world, and what was read of it.
type filming struct {
	c     *Capture
	most  int // bytes of each chunk
	lazy  int // it is read once in so many steps
	since int // the step when it began
	film  film
	lost  []int // the chunks before which something is missing
}

// films draws whether a world is captured: not those of the regressions, which mean
// what they meant.
func (w *world) films() {
	if w.seed%8 != 6 {
		return
	}
	for _, x := range regressions {
		if x.seed == w.seed {
			return
		}
	}
	w.c = rand.New(rand.NewPCG(w.seed, 0xf11)) // nothing else in the world is drawn by it
}

// shoot starts, reads and ends captures.
func (w *world) shoot() {
	if w.c == nil {
		return
	}
	if len(w.shots) < 3 && oneIn(w.c, 30) {
		w.startFilm()
	}
	for _, f := range w.shots {
		if oneIn(w.c, f.lazy) {
			f.read(w)
		}
		if !w.finishing && oneIn(w.c, 200) {
			f.c.Close()
		}
	}
}

func (w *world) startFilm() {
	f := &filming{most: pick(w.c, capturePiece, capturePiece, 3, 0), lazy: pick(w.c, 1, 5, 1000), since: w.step}
	o := CaptureOptions{Bytes: &f.most, Side: pick(w.c, "", "client", "server")}
	if x := w.routes[w.c.IntN(len(w.routes))]; oneIn(w.c, 3) && !x.gone {
		o.Route = x.Name
	}
	var err error
	if f.c, err = w.box.Capture(o); err != nil {
		w.failf("a capture: %v", err)
	}
	f.c.size = pick(w.c, 300, 3000, 1<<20) // so that much is lost
	w.shots = append(w.shots, f)
	w.seen("captures")
}

func (f *filming) read(w *world) {
	var buf [5]Chunk
	for n := f.c.Next(buf[:]); n > 0; n = f.c.Next(buf[:]) {
		for _, k := range buf[:n] {
			w.seen("captured " + k.What)
			if k.What == "lost" {
				f.lost = append(f.lost, len(f.film))
				continue
			}
			k.Data = bytes.Clone(k.Data)
			f.film = append(f.film, k)
		}
	}
}

// judgeFilms compares captures with what the peers said and heard, and with what
// went through the box's sockets.
func (w *world) judgeFilms() {
	for i, f := range w.shots {
		f.read(w)
		next := map[string]int64{} // by connection and way
		for at, k := range f.film {
			if len(f.lost) > 0 && f.lost[0] == at {
				f.lost, next = f.lost[1:], map[string]int64{}
			}
			s := w.sessionNamed(k.Session)
			if s == nil {
				w.failf("capture %d tells of session %q", i, k.Session)
			}
			if k.Side != "" && (k.Side == "client" || s.route.Mode != "proxy") { // a proxy has several servers in turn
				w.judgeChunk(f, s, &k, next)
			}
		}
		f.c.Close()
	}
	for _, l := range w.box.loops {
		l.takeMail()
		if l.captures != nil {
			w.failf("captures are left")
		}
	}
}

func (w *world) sessionNamed(id string) *simSession {
	for _, s := range w.sessions {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (w *world) judgeChunk(f *filming, s *simSession, k *Chunk, next map[string]int64) {
	peer, t := s.client, s.in
	if k.Side == "server" {
		peer, t = s.server, s.out
	}
	key, reset := fmt.Sprint(k.Session, k.Side, k.Way), fmt.Sprint(k.Session, k.Side, "rst")
	if at, known := next[key]; known && at != k.Offset {
		w.failf("%s: a capture goes on at %d on %s, expected %d", s.name(), k.Offset, key, at)
	}
	switch k.What {
	case "opened":
		in, out := key+"in", key+"out"
		delete(next, reset)
		for _, way := range []struct {
			key string
			at  int64
		}{{in, k.Offset}, {out, k.Given}} {
			if at, known := next[way.key]; known && at != way.at {
				w.failf("%s: told to stand at %d on %s, expected %d", s.name(), way.at, way.key, at)
			}
			next[way.key] = way.at
		}
		if k.Own == k.Peer || !k.Peer.IsValid() {
			w.failf("%s: a capture has the addresses %v and %v", s.name(), k.Own, k.Peer)
		}
	case "bytes":
		next[key] = k.Offset + k.Bytes
		all := t.in
		var truth []byte
		if k.Way == "out" {
			all = t.out
		}
		switch {
		case peer == nil: // it never accepted
		case k.Way == "in":
			truth = peer.says.raw
		default:
			truth = peer.p.Got()
		}
		if n := int64(total(all)); k.Offset+k.Bytes > n {
			w.failf("%s: a capture tells of byte %d on %s, and only %d passed", s.name(), k.Offset+k.Bytes, key, n)
		}
		if want := int(min(k.Bytes, int64(f.most))); len(k.Data) != want {
			w.failf("%s: a capture has %d bytes of a chunk of %d, expected %d", s.name(), len(k.Data), k.Bytes, want)
		}
		if from := int(k.Offset); from < len(truth) {
			n := min(len(k.Data), len(truth)-from)
			if !bytes.Equal(k.Data[:n], truth[from:from+n]) {
				w.failf("%s: a capture has %q at %d on %s, the peer %q", s.name(), k.Data[:n], from, key, truth[from:from+n])
			}
		}
	case "fin", "rst":
		w.judgeEnd(s, t, k)
		if k.What == "rst" {
			if _, told := next[reset]; told {
				w.failf("%s: a capture tells of two RSTs of one connection, the %s's", s.name(), k.Side)
			}
			next[reset] = k.Offset
		}
	}
}

// judgeEnd compares an end of which a capture tells with what went through the socket.
func (w *world) judgeEnd(s *simSession, t *tap, k *Chunk) {
	if k.What == "rst" && k.Way == "in" && t.rst.step == 0 && !t.reset {
		w.failf("%s: a capture tells of a RST of the %s, and there was none", s.name(), k.Side)
	}
	if k.What == "fin" && k.Way == "out" && (t.shut.step == 0 || int64(t.shut.total) != k.Offset) {
		w.failf("%s: a capture tells of our FIN at %d on the %s's side, it went out at %d", s.name(), k.Offset, k.Side, t.shut.total)
	}
	if k.What == "fin" && k.Way == "in" && (t.eof.step == 0 || int64(t.eof.total) != k.Offset) {
		w.failf("%s: a capture tells of the %s's FIN at %d, it came at %d", s.name(), k.Side, k.Offset, t.eof.total)
	}
}
