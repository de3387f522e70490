package middlebox

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"crimp/faults"
	"crimp/faults/wire"
)

// TestSliceIsSegments: as many segments leave for the client as there are pieces,
// by the kernel's own count, also when the client takes its time.
func TestSliceIsSegments(t *testing.T) {
	const size, total = 10, 3000
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) {
		defer c.Close()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			return
		}
		c.Write(make([]byte, total))
		c.Read(make([]byte, 1))
	}), Rules: []faults.Rule{rule("slice", map[string]any{"size": size})}})
	c := dial(t, b, "web")
	until(t, "the box has accepted", func() bool { return b.State().Routes[0].Sessions == 1 })
	before := segmentsOut(t, b)
	say(t, c, "x")
	expect(t, c, string(make([]byte, total)))
	until(t, "every piece is a segment", func() bool { return segmentsOut(t, b)-before >= total/size })
	if n := segmentsOut(t, b) - before; n > total/size+total/size/10 {
		t.Errorf("%d segments with data for %d pieces", n, total/size)
	}
}

// TestSliceWithAGap: each piece is a segment of its own and leaves a gap after the
// one before; disarmed, the rest comes at once, in order.
func TestSliceWithAGap(t *testing.T) {
	const size, pieces, gap = 5, 20, 10 * time.Millisecond
	sent := make([]byte, 2*size*pieces)
	for i := range sent {
		sent[i] = byte(i)
	}
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) {
		defer c.Close()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			c.Write(sent)
			c.Read(make([]byte, 1))
		}
	}), Rules: []faults.Rule{rule("slice", map[string]any{"size": size, "gap": gap.String()})}})
	c := dial(t, b, "web")
	until(t, "the box has accepted", func() bool { return b.State().Routes[0].Sessions == 1 })
	before, begun := segmentsOut(t, b), time.Now()
	say(t, c, "x")
	expect(t, c, string(sent[:size*pieces]))
	segments := segmentsOut(t, b) - before
	took := time.Since(begun)
	if took < (pieces-1)*gap {
		t.Errorf("%d pieces within %v", pieces, took)
	}
	if most := pieces + int(took/gap) + 1; segments < pieces || segments > most { // more may have left meanwhile
		t.Errorf("%d segments for %d pieces", segments, pieces)
	}
	gone(t, b, "slice")
	expect(t, c, string(sent[size*pieces:]))
}

// segmentsOut is how many segments with data the one session has sent its client.
func segmentsOut(t *testing.T, b *Box) (n int) {
	t.Helper()
	b.on(b.loops[0], func(l *loop) {
		info, err := unix.GetsockoptTCPInfo(int(l.sessions[0].leg[wire.Downstream].sock), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			t.Error(err)
			return
		}
		n = int(info.Data_segs_out)
	})
	return n
}

// TestSliceWaits: pieces that the client does not take yet come in order later.
func TestSliceWaits(t *testing.T) {
	sent := make([]byte, 8<<20)
	for i := range sent {
		sent[i] = byte(i ^ i>>8 ^ i>>16)
	}
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) {
		defer c.Close()
		c.Write(sent)
	}), Rules: []faults.Rule{rule("slice", map[string]any{"size": 1000, "variation": 900})}})
	c := dial(t, b, "web")
	until(t, "the client's window is full", func() bool { return b.State().Routes[0].Bytes.Downstream > 100_000 && pendingOf(b) > 0 })
	wantEnd(t, c, string(sent), "fin")
}

func pendingOf(b *Box) (n int) {
	b.on(b.loops[0], func(l *loop) {
		if len(l.sessions) > 0 {
			n = l.sessions[0].leg[wire.Downstream].pending()
		}
	})
	return n
}
