//go:build linux

package sys

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A client that has something to say at once ends the handshake with it: the server
// gets a segment less, and nothing else is different. If it says nothing after all,
// the connection is made all the same.
func TestHandshakeEndsWithFirstBytes(t *testing.T) {
	segments := map[string]uint32{}
	for _, c := range []struct {
		name  string
		soon  bool
		bytes string
	}{
		{"apart", false, "hello"},
		{"together", true, "hello"},
		{"soon, but nothing said", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, client := newKernel(t), newKernel(t)
			l, at := listen(t, k)
			out, o := client.Connect(at, c.soon)
			if o != Again && o != OK {
				t.Fatal(o)
			}
			defer client.Close(out)
			await(t, client, out, Out)
			if o, err := client.Connected(out); o != OK {
				t.Fatal(o, err)
			}
			if n, o := client.Write(out, []byte(c.bytes)); o != OK || n != len(c.bytes) {
				t.Fatal(n, o)
			}
			await(t, k, l, In)
			in, _, o := k.Accept(l)
			if o != OK {
				t.Fatal(o)
			}
			defer k.Close(in)
			if c.bytes == "" {
				return
			}
			await(t, k, in, In)
			got := make([]byte, 16)
			if n, o := k.Read(in, got); o != OK || string(got[:n]) != c.bytes {
				t.Fatalf("read %q, %v", got[:n], o)
			}
			info, err := unix.GetsockoptTCPInfo(int(in), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil {
				t.Fatal(err)
			}
			segments[c.name] = info.Segs_in
		})
	}
	if apart, together := segments["apart"], segments["together"]; together+1 != apart {
		t.Errorf("the server got %d segments, %d if the first bytes end the handshake; want one less", apart, together)
	}
}
