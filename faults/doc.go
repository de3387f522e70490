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
// into an immutable Plan. An Engine is the mind of one session, a lane one direction
// of it; a Stage is a rule at work there, in a slot of the lane's chain. A bond is
// what all stages of a rule on one session have in common, and by which what they
// keep back is found when the rule goes.
//
// # A byte's way
//
//	Demand  -> InBytes                what is read at all, and how much     demand.go, inputs.go
//	        -> wire.Pair.Feed         where does each byte stand?           wire/
//	        -> lane.segment           is a rule undecided about it?         lane.go, hold.go
//	        -> slot 0, slot 1, ...    the rules at work, in their order     chain.go, slot.go, one file per kind
//	        -> lane.say               straight to an Action, or waits       say.go, outbox.go
//	        -> Action                 what the session has to do            perform.go, action.go
//
// FIN, RST and endings take the same way, as a term (term.go); what is to be told,
// as a Note between the bytes (note.go).
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
// one rule with several kinds at work (composite.go). And exchanges are followed from
// request line to last byte (exchange.go), with what was odd about them (odd.go).
//
// What a stage must know of the other direction it has by Writer.Back, Deaf, Turn and
// Quiet; what its rule shares between sessions by Kind.Memory, as bandwidth's link
// does (pacer.go); what a rule before it has done to a message's framing by
// Writer.Reframed (reframe.go). It asks its gate by one of Writer.Fire's (fire.go).
//
// # Where bytes wait
//
// Never in a stage's own time: there is no timer but Deadline. In the order in which
// bytes come by:
//
//	unread    Demand says Hold: a stage is deaf, stalls or rations, the bound of held bytes
//	          is reached, nobody is there yet, or a proxy's client has asked
//	          more than is kept of open exchanges. The sender feels it      demand.go
//	hold      the beginning of a message, while a rule that may be for it is
//	          undecided or must see a whole line or head                    hold.go
//	tail      the last bytes of a body, for a place counted from its end    tail.go
//	entry     said, and not due yet: late says because of which rules       outbox.go, late.go
//	bar       whole messages, due or not, for others that are to come
//	          first or with them; the shelf is the bar of one rule          bar.go
//	turn      what is for another server than the one connected             turn.go
//	dial      all that is for a server, until there is one                  connect.go
//	halted    all of a direction, while an operator stalls it
//	gag       the same, while a rule has pulled its cable                   packet.go
//
// A kind that needs the whole of a body to change it keeps it itself, and says what it
// made when the body is whole (coded.go). What stages keep counts as held, as all that
// waits here does; but what is more than may be goes on as it came, for to leave its
// source unread would be for ever (keep.go).
//
// # Unseen bytes
//
// Where nothing at work has to see what comes, Demand says Splice: so many bytes may
// go by in the kernel. A Skipper needs none of them, up to its place; a Counter none as
// long as there are few, but their number, which InSkipped brings. Framing stays
// exact, because the tokenizer says how many bytes of a body are left. And where
// nothing on a direction looks into heads, they are not taken apart (lane.plain): a
// rule that comes into force acts from the next bytes read on, as it does anyway.
//
// # Memory
//
// Ten thousand sessions may be idle, so an engine has only what it cannot be without.
// Outboxes and exchanges are lent by the Scratch that engines of one goroutine share
// (scratch.go), and go back when all is out or over.
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
//   - Each exchange that started finishes, once (exchange.go has the three ways).
//   - A Step that comes after its Deadline is late; Later tells stages that keep to a
//     schedule, and one that is made to wait for more (Engine.Behind) counts as late too.
//   - Actions point into the Step's input and the engine's buffers, or those of its
//     Scratch; all are left alone until the next Step of any that share them.
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
// for a stream, content_length.go for a message, dumb_proxy.go for both directions,
// pipeline.go for several messages. stage.go has the optional faces.
//
// # Uglies
//
//   - A head that a rule must see whole leaves in one piece, however slowly it came;
//     after 1 s or 64 KiB it is let go as it is and an event says so.
//   - A field line whose line end was the last byte read may still be folded
//     (obs-fold): its end is known with the byte after it, so "field:2" is reached then.
//   - A session has one shelf: a second rule that would keep whole messages misses.
//   - A body coded with gzip that is to be rewritten is no stream: it leaves when it is
//     whole, and as it came if that is more than 1 MiB.
//   - Endless interim responses pass by the rules behind: before the answer there is no
//     end to them, and a rule is shown what goes out in its order.
package faults
