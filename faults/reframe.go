package faults

import "crimp/faults/wire"

// Rules act in their order, but the head that a stage looks at is the peer's: what
// an earlier rule has made of the message's framing it would not know. So a rule
// that changes it says so here, and a later one that would have to understand the
// framing misses, with a reason that names the earlier: it never makes chunks of
// chunks, or a length of a length. Rules that do not get into each other's way both
// act: two damaged chunks, a damaged chunk and a strange Transfer-Encoding.
// Chunks made anew of chunks are as good as the peer's and need no word.

// reframing is what a rule may have done to a message's framing.
type reframing uint8

const (
	remade  reframing = iota // lengths, or chunks where there were none: the head is not true any more
	damaged                  // chunks that were there say what is not so, or may come to
	resaid                   // the Transfer-Encoding fields are others
	reframings
)

// Reframes says that the stage changes the framing of the message in progress.
func (w *Writer) Reframes(what reframing) {
	if h := w.slot.lane.hold; h != nil {
		h.reframed[what] = w.slot.part.rule.Name()
	}
}

// Reframed is why a stage is not to touch the framing of the message in progress,
// if a rule before has done one of these things to it; none if none has.
func (w *Writer) Reframed(whats ...reframing) Miss {
	if h := w.slot.lane.hold; h != nil {
		for _, what := range whats {
			if by := h.reframed[what]; by != "" {
				return Miss{missRule, "its framing is " + by + "'s, which stands before"}
			}
		}
	}
	return Miss{}
}

// made says that a segment is neither the peer's nor stands for something of the
// message, as a chunk's size line does that a rule made.
func made(s wire.Segment) bool { return s.Message == 0 && s.Off < 0 }
