//go:build linux

package sys

import (
	"bytes"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWriteApart: each piece is a segment, however many there are; what the peer
// has no room for is not counted, and nothing behind it is written.
func TestWriteApart(t *testing.T) {
	k := newKernel(t)
	s, c := accepted(t, k)
	var pieces [][]byte
	for i := range 1000 {
		pieces = append(pieces, bytes.Repeat([]byte{byte(i)}, 1+i%700))
	}
	all := bytes.Join(pieces, nil)
	n, out := k.WriteApart(s, pieces[:100])
	if out != OK || n != len(bytes.Join(pieces[:100], nil)) {
		t.Fatalf("100 small pieces: %d bytes taken, outcome %v", n, out)
	}
	said := bytes.Clone(all[:n])
	var segments uint32 // some wait for the peer's acknowledgement
	for end := time.Now().Add(10 * time.Second); segments < 100 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		info, err := unix.GetsockoptTCPInfo(int(s), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Fatal(err)
		}
		segments = info.Data_segs_out
	}
	if segments != 100 {
		t.Errorf("%d segments for 100 pieces", segments)
	}
	for n = len(all); n == len(all) && len(said) < 64<<20; {
		n, _ = k.WriteApart(s, pieces)
		said = append(said, all[:n]...)
	}
	if n == len(all) {
		t.Fatal("the peer's window never filled")
	}
	got := make([]byte, len(said))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, said) {
		t.Errorf("bytes are lost, doubled or in another order (%v)", err)
	}
	c.SetLinger(0)
	c.Close()
	await(t, k, s, Err)
	if n, out := k.WriteApart(s, pieces); out != Reset || n != 0 {
		t.Errorf("to a peer that has reset: %d bytes, outcome %v", n, out)
	}
}
