package faults

import "time"

// late is why something waits in an outbox: the rule whose stage delayed it last,
// and why it came to that stage no sooner. When a rule goes, what it held goes on
// to the stages behind it: their delays stay, and those before it too.
type late struct {
	by    *bond
	was   time.Time // when it came to the stage; only where under is set
	under *late     // nil: it came there as it was read
	line  bool      // delayed by a span, as a delay line does, not up to a moment
}

// bond ties what waits to a rule at work on this session.
type bond struct {
	state  *state
	own    map[int]any // by part: what its stages of this session share
	filter [2]Filter   // what it filters of each leg, by the direction that flows to it
	told   bool        // that parts of it are left out here
	alone  late        // the lateness that this rule alone is the reason of: the common one
}

// late is the lateness of what came to the rule's stage at was, because of under.
func (b *bond) late(was time.Time, under *late, line bool) *late {
	if under == nil {
		b.alone = late{by: b, line: line}
		return &b.alone
	}
	return &late{by: b, was: was, under: under, line: line}
}

// of says whether b is among the reasons.
func (l *late) of(b *bond) bool {
	for ; l != nil; l = l.under {
		if l.by == b {
			return true
		}
	}
	return false
}

// without is when something due at a time is due if b is no reason any more, and
// what reasons are left.
func (l *late) without(b *bond, at, now time.Time) (time.Time, *late) {
	switch {
	case !l.of(b):
		return at, l
	case l.under == nil:
		return now, nil
	}
	was, under := l.under.without(b, l.was, now)
	switch {
	case l.by == b:
		return was, under
	case l.line:
		at = was.Add(at.Sub(l.was))
	case was.After(at):
		at = was
	}
	return at, l.by.late(was, under, l.line)
}

// isNever says that a time does not come. What a stall holds goes on through the
// delay lines behind it, so Never has its own hours and seconds.
func isNever(t time.Time) bool { return !t.Before(Never) }
