// Package faults decides what a session's bytes become. It is pure: bytes and
// times go in, actions come out; no socket, clock, goroutine or global randomness
// is touched, so a fault can be tested without any of them, and a recorded run
// replays.
//
// # Words
//
// A Kind is a sort of damage, declared in one file (cut.go, latency.go, ...). A
// Preset is a kind with parameters filled in. A Rule is a fault with values, a
// Match (which traffic) and a Gate (how often); Compile turns the rules of a route
// into an immutable Plan. An Engine is the mind of one session; a Stage is a rule
// at work on it.
//
// # A byte's way
//
//	InBytes -> wire.Pair.Feed         where does each byte stand?           wire/
//	        -> lane.segment           is a rule undecided about it?         hold.go
//	        -> slot 0, slot 1, ...    the rules at work, in their order     slot.go, one file per kind
//	        -> lane.say               straight to an Action, or waits       lane.go, outbox.go
//	        -> Action                 what the session has to do            perform.go
//
// Two things make this small. Time flows with the bytes: a stage never sleeps and
// never queues, it says from when on its bytes may go (Writer.Until), the next
// stage sees them at that time, and only the outbox at the end of the chain waits.
// And places are found by the engine: a kind with a parameter At says only what
// happens there (Kind.Here), in a line or two.
//
// Four things stand beside this way. Connect faults are asked before upstream is
// dialled (connect.go), or act on the listening socket (Plan.Closed, Plan.Drops).
// Packet faults put a filter on a leg's socket (packet.go). A composite preset is
// one rule with several kinds at work (composite.go). Whole messages that wait for
// each other stand behind a bar in the outbox (bar.go). And what a stage must know of
// the other direction it has by Writer.Back, Deaf, Turn and Quiet; what its rule
// shares between sessions by Kind.Memory, as bandwidth's link does (pacer.go).
//
// # Rules the engine keeps
//
//   - Within a direction nothing overtakes: once the outbox is not empty, bytes,
//     notes, FIN and endings all go through it.
//   - What a rule holds back is tied to it (late.go). When the rule goes, it goes out,
//     in order, at once: disarming loses no byte.
//   - A message's rules are those of the plan in force when its first byte came; a
//     message nothing of which has been passed on is a new one to a new plan.
//   - Of two rules that change one message's framing the later sees what the earlier
//     made, or misses and names it (reframe.go).
//   - Gates are asked when the match is yes and the place is reached, once for an
//     occurrence, and every draw depends on names and ordinals alone.
//   - Actions point into the Step's input and the engine's buffers; both are left
//     alone until the next Step.
//
// # An explicit proxy
//
// With Options.Proxying the client's request line names the server, and the engine
// asks for the connection (OpDial) when something is to be said to it: turn.go has
// the order of it, proxy.go what is rewritten with nothing armed, and why.
//
// # A new fault
//
// Write one file: a struct of parameters with json and help tags, a Declare with a
// summary, what the client sees, presets, and examples as plays (package
// faultstest). Decoding, limits, schema, form, help, documentation and tests come
// from that. Damage at a place is Here; anything else is a Stage: see latency.go
// for a stream, content_length.go for a message, dumb_proxy.go for both directions.
//
// # Uglies
//
//   - A head that a rule must see whole leaves in one piece, however slowly it came;
//     after 1 s or 64 KiB it is let go as it is and an event says so.
//   - A field line whose line end was the last byte read may still be folded
//     (obs-fold): its end is known with the byte after it, so "field:2" is reached then.
package faults
