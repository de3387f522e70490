package simnet_test

import (
	"bytes"

	"crimp/middlebox/sys"
)

// What a pipe does between two sockets, where the kernel lends one.
var pipeBehaviours = []behaviour{
	{"bytes go through a pipe, or back out of it", func(w *world) {
		p, ok := w.pipe()
		if !ok {
			return
		}
		from, source := w.accepted()
		to, sink := w.accepted()
		source.send([]byte("seen by nobody, then recalled"))
		w.await(from, sys.In)
		w.fill(p, from, 29)
		w.drain(p, to, 14)
		sink.wantRead([]byte("seen by nobody"))
		var b [100]byte
		if n := w.k.Recall(p, b[:]); string(b[:n]) != ", then recalled" {
			w.t.Errorf("recalled %q", b[:n])
		}
		if n := w.k.Recall(p, b[:]); n != 0 {
			w.t.Errorf("recalled %d bytes from an empty pipe", n)
		}
		n, o := w.k.Fill(p, from, 100)
		if n != 0 || o != sys.Again {
			w.t.Errorf("filled from an empty socket: %d, %v", n, o)
		}
		w.k.Return(p)
		w.k.Close(from)
		w.k.Close(to)
	}},

	{"Fill says how the input ended", func(w *world) {
		p, ok := w.pipe()
		if !ok {
			return
		}
		var b [100]byte
		for _, end := range []struct {
			how  func(peer)
			want sys.Outcome
		}{{peer.closeWrite, sys.EOF}, {peer.reset, sys.Reset}} {
			s, source := w.accepted()
			source.send(words)
			w.await(s, sys.In)
			end.how(source)
			w.await(s, sys.Fin)
			w.fill(p, s, len(words))
			for range 2 {
				if n, o := w.k.Fill(p, s, 100); n != 0 || o != end.want {
					w.t.Errorf("at the end: %d, %v, want %v", n, o, end.want)
				}
			}
			w.wantRead(s, nil, end.want)
			w.k.Recall(p, b[:])
			w.k.Close(s)
		}
		w.k.Return(p)
	}},

	{"Drain to a reset socket leaves the bytes in the pipe", func(w *world) {
		p, ok := w.pipe()
		if !ok {
			return
		}
		from, source := w.accepted()
		to, sink := w.accepted()
		source.send(words)
		w.await(from, sys.In)
		w.fill(p, from, len(words))
		sink.reset()
		w.await(to, sys.Err)
		if n, o := w.k.Drain(p, to, 100); n != 0 || o != sys.Reset {
			w.t.Errorf("drained: %d, %v", n, o)
		}
		w.wantRead(to, nil, sys.Reset) // the Drain was told first, and it is no EOF
		func() {
			defer func() {
				if recover() == nil {
					w.t.Error("a pipe with bytes in it was taken back")
				}
			}()
			w.k.Return(p)
		}()
		var b [100]byte
		if n := w.k.Recall(p, b[:]); !bytes.Equal(b[:n], words) {
			w.t.Errorf("recalled %q", b[:n])
		}
		w.k.Return(p)
		w.k.Close(from)
		w.k.Close(to)
	}},
}
