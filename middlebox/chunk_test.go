package middlebox

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestChunkRoom: what a chunk is said to need at most is what it needs at most.
func TestChunkRoom(t *testing.T) {
	far := netip.MustParseAddrPort("[fe80::ffff:ffff:ffff:ffff%enp0s31f6-long-zone]:65535")
	long := strings.Repeat("x", 300)
	for what := range chunkWords {
		k := sighting{what: byte(what), at: time.Unix(1<<33, 0), route: long[:64], num: 1 << 62, leg: 1, way: 1, offset: 1 << 62, bytes: 1 << 62,
			data: []byte(long), opened: &legNames{own: far, peer: far, given: 1 << 62, stood: true}, seq: 1 << 62, chunks: 1 << 62,
			fired: &firing{rule: long, data: FiredData{Fault: long, At: long, End: long}}}
		var p packer
		k.pack(&p)
		if len(p) > k.room() {
			t.Errorf("%s takes %d bytes, said to be at most %d", chunkWords[what], len(p), k.room())
		}
		u := unpacker(p)
		var back Chunk
		if back.unpack(&u); len(u) > 0 || back.What != chunkWords[what] {
			t.Errorf("%s: %+v with %d bytes left", chunkWords[what], back, len(u))
		}
	}
}
