//go:build linux

package sys

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// TestWriteMany: each socket gets its own bytes, what a peer has no room for is not
// counted, and one that has reset is told apart, with a ring and without.
func TestWriteMany(t *testing.T) {
	for _, ringed := range []bool{true, false} {
		k := newKernel(t)
		if ringed && k.ring.fd < 0 {
			t.Log("the system has no io_uring to give: only single calls are tried")
			continue
		}
		if !ringed {
			k.ring.free()
		}
		var peers []*net.TCPConn
		var ws []Writing
		for i := range ringSize + 10 {
			s, c := accepted(t, k)
			peers = append(peers, c)
			ws = append(ws, Writing{Sock: s, Data: bytes.Repeat([]byte{byte(i)}, 100+i)})
		}
		gone, full := &ws[3], &ws[5]
		peers[3].SetLinger(0)
		peers[3].Close()
		await(t, k, gone.Sock, Err)
		sent := 0
		for n, o := 1, OK; o == OK && n > 0; sent += n {
			n, o = k.Write(full.Sock, make([]byte, 1<<20))
		}
		for range 3 { // the queues go round
			k.WriteMany(ws)
			for i := range ws {
				switch w := &ws[i]; {
				case w == gone:
					if w.Out != Reset || w.N != 0 {
						t.Errorf("ring %v, to a peer that has reset: %d bytes, outcome %v", ringed, w.N, w.Out)
					}
				case w == full:
					if w.Out != Again || w.N != 0 {
						t.Errorf("ring %v, to a peer without room: %d bytes, outcome %v", ringed, w.N, w.Out)
					}
				case w.Out != OK || w.N != len(w.Data):
					t.Fatalf("ring %v, socket %d of %d: %d bytes of %d, outcome %v", ringed, i, len(ws), w.N, len(w.Data), w.Out)
				}
			}
		}
		for i := range ws {
			w := &ws[i]
			if w == gone || w == full {
				continue
			}
			got := make([]byte, 3*len(w.Data))
			if _, err := io.ReadFull(peers[i], got); err != nil || !bytes.Equal(got, bytes.Repeat(w.Data, 3)) {
				t.Errorf("ring %v: peer %d got other bytes than its own (%v)", ringed, i, err)
			}
		}
		if _, o := k.Read(gone.Sock, make([]byte, 1)); o != Reset {
			t.Errorf("ring %v: reading on after the reset was told to a write: %v", ringed, o)
		}
	}
}

// TestWriteManyInPart: a peer with a little room takes a part.
func TestWriteManyInPart(t *testing.T) {
	k := newKernel(t)
	s, c := accepted(t, k)
	other, _ := accepted(t, k)
	const piece = 3 << 20
	ws := []Writing{{Sock: s, Data: make([]byte, piece)}, {Sock: other, Data: []byte("x")}}
	total := 0
	for range 100 {
		k.WriteMany(ws)
		if ws[0].Out == Again {
			t.Fatal("from much room to none at once")
		}
		if total += ws[0].N; ws[0].N < piece {
			break
		}
	}
	if ws[0].N == piece || ws[0].N <= 0 || ws[0].Out != OK || ws[1].Out != OK {
		t.Fatalf("%d bytes of %d, outcome %v", ws[0].N, piece, ws[0].Out)
	}
	if n, err := io.ReadFull(c, make([]byte, total)); err != nil {
		t.Errorf("%d bytes came of %d: %v", n, total, err)
	}
}
