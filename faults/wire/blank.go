package wire

// Four line ends stand alone: empty lines before a message, the end of a head, of
// a chunk's data and of a chunked message. What they are is known from the first
// byte, so a CR is labelled and emitted without waiting for its LF; a sender that
// says something else behind it has left HTTP.

// blank takes a line end that stands alone, or its CR. Any other byte is refused
// with where.
func (t *tokenizer) blank(b []byte, where string) int {
	switch {
	case b[0] == '\n':
		t.blankEnd(b[:1])
		return 1
	case b[0] != '\r':
		t.refuse(b[0], where)
		return 0
	case len(b) > 1 && b[1] == '\n':
		t.blankEnd(b[:2])
		return 2
	}
	part := t.blankPart()
	switch part {
	case Opaque:
		t.state = betweenLF
	case HeadEnd:
		t.head.Raw = append(t.head.Raw, '\r')
		t.state = headEndLF
	case ChunkEnd:
		t.state = chunkEndLF
	case MessageEnd:
		t.state = messageEndLF
	}
	t.say(part, b[:1], false, false)
	return 1
}

// blankLF takes the LF of a line end whose CR was seen.
func (t *tokenizer) blankLF(b []byte) int {
	if b[0] != '\n' {
		t.refuse(b[0], "behind a CR")
		return 0
	}
	t.blankEnd(b[:1])
	return 1
}

// blankPart is what a line end that stands alone is, by the state.
func (t *tokenizer) blankPart() Part {
	switch t.state {
	case fieldStart, headEndLF:
		return HeadEnd
	case chunkEnd, chunkEndLF:
		return ChunkEnd
	case trailerStart, messageEndLF:
		return MessageEnd
	}
	return Opaque
}

// blankEnd takes a line end that stands alone, or the LF that was missing of it.
func (t *tokenizer) blankEnd(b []byte) {
	part := t.blankPart()
	switch part {
	case HeadEnd:
		t.headEnd(b)
		return
	case ChunkEnd:
		t.state = inChunkSize
	default:
		t.state = between
	}
	t.say(part, b, true, part == MessageEnd)
}
