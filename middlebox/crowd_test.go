package middlebox

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// Who leaves tells the first that waits and the first of the same client, as a plain
// list has it; whatever came before.
func TestCrowdTellsWhoIsNext(t *testing.T) {
	type guest struct {
		s     *session
		addr  netip.Addr
		waits bool
	}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var c crowd
		var in []guest
		num := uint64(0)
		for range 300 {
			switch n := r.IntN(4); {
			case n == 0 || len(in) == 0:
				num++
				g := guest{s: &session{num: num}, addr: netip.AddrFrom4([4]byte{127, 0, 0, byte(r.IntN(3))})}
				c.enter(num, g.addr)
				in = append(in, g)
			case n == 1:
				i, same := r.IntN(len(in)), r.IntN(2) == 0
				in[i].waits = true
				want := 0
				for _, g := range in[:i] {
					if !same || g.addr == in[i].addr {
						want++
					}
				}
				if got := c.before(in[i].s, same); got != want {
					t.Fatalf("round %d: %d before session %d (same client %v), expected %d", round, got, in[i].s.num, same, want)
				}
			case n == 2:
				i := r.IntN(len(in))
				in[i].waits = false
				c.served(in[i].s.num)
			default:
				i := r.IntN(len(in))
				g := in[i]
				in = slices.Delete(in, i, i+1)
				var want []*session
				if k := slices.IndexFunc(in, func(x guest) bool { return x.waits }); k >= 0 {
					want = append(want, in[k].s)
				}
				if k := slices.IndexFunc(in, func(x guest) bool { return x.waits && x.addr == g.addr }); k >= 0 && in[k].s != want[0] {
					want = append(want, in[k].s)
				}
				if got := c.without(g.s.num); !slices.Equal(got, want) {
					t.Fatalf("round %d: session %d left and %d are told, expected %d", round, g.s.num, len(got), len(want))
				}
			}
		}
	}
}

// Who keeps is counted by client, as a plain list has it, whether the crowd was asked
// or what a session knows.
func TestCrowdCountsWhoKeeps(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for round := range 200 {
		type guest struct {
			s    *session
			addr byte
			kept bool
		}
		route := &route{}
		var in []*guest
		for num := range uint64(300) {
			if r.IntN(4) == 0 || len(in) == 0 {
				g := &guest{s: &session{num: num, r: route}, addr: byte(r.IntN(3))}
				route.crowd.enter(num, netip.AddrFrom4([4]byte{127, 0, 0, g.addr}))
				in = append(in, g)
			}
			i := r.IntN(len(in))
			g := in[i]
			if r.IntN(6) == 0 {
				route.crowd.without(g.s.num)
				in = slices.Delete(in, i, i+1)
				continue
			}
			g.kept = r.IntN(3) > 0
			want := 0
			for _, x := range in {
				if x.kept && x.addr == g.addr {
					want++
				}
			}
			if got := g.s.Keep(g.kept); got != want {
				t.Fatalf("round %d: session %d keeps %v, and %d do, expected %d", round, g.s.num, g.kept, got, want)
			}
		}
	}
}

// BenchmarkCrowdLeaves is what it costs that all sessions of a route end, for each:
// none of them waits, or all but the first do.
func BenchmarkCrowdLeaves(b *testing.B) {
	for _, waits := range []bool{false, true} {
		for _, n := range []int{100, 10_000} {
			b.Run(fmt.Sprintf("sessions=%d/wait=%v", n, waits), func(b *testing.B) {
				for done := 0; done < b.N; done += n {
					b.StopTimer()
					var c crowd
					for num := range uint64(n) {
						addr := netip.AddrFrom4([4]byte{127, 0, byte(num >> 8), byte(num)})
						c.enter(num, addr)
						if waits && num > 0 {
							c.wait(&session{num: num}, addr)
						}
					}
					b.StartTimer()
					for num := range uint64(n) {
						c.without(num)
					}
				}
			})
		}
	}
}
