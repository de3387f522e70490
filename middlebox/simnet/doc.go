// Package simnet is the face of the operating system (package sys) in memory,
// with a seed and a clock, so that the real loop, its sessions and the engine
// can be run through millions of afternoons that Linux offers once a year.
//
// A [Net] is the world. It has [Kernel]s, one for each loop under test, and
// peers: clients ([Net.Dial]) that connect to what the loop listens on, and
// servers ([Net.Serve]) that the loop connects to. Nothing in it happens by
// itself and nothing reads the real clock. The driver of a simulation takes turns:
//
//	n := simnet.New(seed, simnet.Options{})
//	loop := newLoop(n.Kernel())
//	client := n.Dial(addr)
//	for !done {
//		switch n.Rand().IntN(3) {
//		case 0:
//			client.Send(...) // or Read, CloseWrite, Reset: what peers do
//		case 1:
//			n.Step() // the network does one thing: some bytes, a FIN or a RST arrive
//		case 2:
//			loop.turn() // one Wait (of as long as it would sleep), dispatch, timers
//		}
//		if n.Quiet() { // nothing moves at this instant
//			if at, ok := n.Next(); ok {
//				n.AdvanceTo(at)
//			}
//		}
//	}
//	n.Leaks() // must be empty
//
// An [Actor] moves a peer by chance. A box whose loops start no goroutines
// (middlebox.Config.Driven) takes its turns with Turn(-1): the loop then tells
// Wait how long it would sleep, which Quiet and Next need to know.
//
// A loop that cannot be called turn by turn runs in its own goroutine with
// [Options.Park]: see [Kernel.Turn].
//
// What is modelled is what a relay can get wrong (file tcp.go: the connection;
// kernel.go: readiness). The conformance test runs one table of behaviours
// against this and against the kernel it is tested on. Where Linux leaves a
// choice, to time or to luck, the seed makes it: how many bytes arrive together, who
// is reported late, whether a wake-up has a reason.
//
// Not modelled: loss, reordering and retransmission (TCP hides them), time-outs of the
// kernel's own, urgent data, memory pressure.
package simnet
