package faults

import "slices"

// Miss is why a rule that matched did not act: the word it is counted under, one of
// MissWords, and a sentence for people. The zero Miss is none.
type Miss struct{ Word, Why string }

// The words under which a rule counts what it matched and could not damage. They are
// few whatever the traffic says: each is a series of a metric.
const (
	missPosition = "position" // the stream or message has no such place, or it went by before the rule came
	missField    = "field"    // the head has no such field
	missFraming  = "framing"  // the kind of message, or how it is framed, leaves nothing to do it to
	missCoding   = "coding"   // the body's content coding does
	missRule     = "rule"     // another rule stands before it, or has ended the direction
	missAlone    = "alone"    // nothing was asked behind it
	missRead     = "read"     // no input is unread
	missHeld     = "held"     // more than may be kept back
	missParams   = "params"   // the parameters ask for nothing
	missPackets  = "packets"  // the right to filter packets is missing
)

// MissWords are the words of misses, in the order of docs/metrics.md.
var MissWords = missNames[slices.Index(missNames[:], missPosition):]

// Miss counts, and tells the journal, that the rule does not act on this occurrence,
// unless its gate was asked about it already.
func (w *Writer) Miss(m Miss) {
	if !w.slot.asked {
		w.slot.asked = true
		w.slot.miss(m)
	}
}

// miss counts, and tells the journal, that the rule matched and did not act.
func (s *slot) miss(m Miss) {
	s.part.rule.state.miss(m.Word)
	s.lane.note(Note{Kind: NoteMissed, Rule: s.part.rule, Exchange: s.ex, Dir: s.lane.dir, Off: s.lane.off, Pos: inserted, Body: inserted, Text: m.Why, Word: m.Word}, s.w.at, s.w.by)
}

// noPlace is the miss of a rule whose position does not come: there is none such, or
// another rule has ended the direction before it.
func (l *lane) noPlace() Miss {
	if l.mute && l.ender != nil {
		return Miss{missRule, l.ender.Name() + " ended the direction before its place"}
	}
	return Miss{missPosition, "position"}
}
