package faults

import (
	"strconv"

	"crimp/faults/wire"
)

// chunker makes a message chunked (RFC 9112 section 7.1) that is framed by its
// length or by the close, and cuts the chunks of one that is chunked already. It
// keeps nothing back: the size of a chunk is known when its first byte comes, but
// for a body until the close, whose chunks are what each read brings.
//
// Its owner gives it every segment of the message and gets back the segments of
// the chunked one: those that the peer sent, and made-up ones (Off is inserted)
// with Part, Index, Size and LastChunk as a tokenizer would say them.
type chunker struct {
	size   int64  // most data bytes in a chunk
	fields string // field lines put last in the head
	length bool   // Content-Length stays

	rest  int64 // data bytes that are known to come; below 1: nobody knows
	left  int64 // of the chunk in progress
	next  int64 // where in the stream the next data byte is due
	index int
}

// headless says that the first segment of a message that a stage sees is not the
// message's first: a rule before it swallowed that, and is gone since.
func headless(s wire.Segment) bool { return s.Part != wire.StartLine }

var lostHead = Miss{missRule, "its head was lost to another rule"}

// chunkable says why a message, whose head is complete, has no chunks and cannot
// be given any; none if it has or can.
func chunkable(s wire.Segment, x *Exchange) Miss {
	switch h := s.Head; {
	case headless(s):
		return lostHead
	case h == nil || !h.Complete:
		return Miss{missHeld, "its head is too long to be looked at whole"}
	case h.Framing == wire.ByChunks:
		return Miss{}
	case h.Framing != wire.ByLength && h.Framing != wire.UntilClose:
		return Miss{missFraming, "it has no body"}
	case receiver10(s, x):
		return Miss{missFraming, "its receiver speaks HTTP/1.0, which has no chunks"}
	}
	return Miss{}
}

// segment takes a segment and hands the chunked message's to put.
func (c *chunker) segment(s wire.Segment, put func(wire.Segment)) {
	switch {
	case made(s):
		put(s)
	case !c.length && ownField(s, "Content-Length"):
		s.Data = s.Data[:0]
		put(s)
	case s.Part == wire.HeadEnd:
		c.headEnd(s, put)
	case s.Part == wire.Body, s.Part == wire.ChunkData:
		c.data(s, put)
	case s.Part == wire.ChunkSize && !s.LastChunk:
		if s.Last {
			c.rest, c.next = s.Size, s.Off+int64(len(s.Data))
		}
	case s.Part == wire.ChunkSize:
		c.index++
		s.Index = c.index
		put(s)
	case s.Part != wire.ChunkEnd:
		put(s)
	}
}

func (c *chunker) headEnd(s wire.Segment, put func(wire.Segment)) {
	if s.First && c.fields != "" {
		put(c.made(s, wire.Field, c.fields))
	}
	c.next = s.Off + int64(len(s.Data))
	if c.rest = -1; s.Head.Framing == wire.ByLength {
		c.rest = s.Head.Length
	}
	ends := s.End
	s.End = false
	put(s)
	if ends {
		s.Data, s.Start, s.First, s.End = nil, false, false, true
		c.end(s, put)
	}
}

// data puts data bytes into chunks.
func (c *chunker) data(s wire.Segment, put func(wire.Segment)) {
	if c.rest > 0 && s.Off > c.next {
		c.rest -= s.Off - c.next // a rule before has dropped them
	}
	c.next = s.Off + int64(len(s.Data))
	for len(s.Data) > 0 {
		if c.left == 0 {
			c.left = min(c.size, int64(len(s.Data)))
			if c.rest > 0 {
				c.left = min(c.size, c.rest)
			}
			c.index++
			put(c.line(s))
		}
		n := int(min(c.left, int64(len(s.Data))))
		piece := s.Slice(0, n)
		piece.Part, piece.Index, piece.End = wire.ChunkData, c.index, false
		c.left -= int64(n)
		c.rest -= int64(n)
		put(piece)
		if c.left == 0 {
			put(c.made(s, wire.ChunkEnd, "\r\n"))
		}
		s = s.Slice(n, len(s.Data))
	}
	if s.End {
		c.end(s, put)
	}
}

// end says the last chunk, then that the message ends.
func (c *chunker) end(s wire.Segment, put func(wire.Segment)) {
	c.index++
	c.left = 0 // of a chunk whose end a rule before has dropped, too
	put(c.line(s))
	put(c.made(s, wire.MessageEnd, "\r\n"))
	put(s)
}

// line is the size line of the chunk in progress; without one, of the last chunk.
func (c *chunker) line(s wire.Segment) wire.Segment {
	t := c.made(s, wire.ChunkSize, strconv.FormatInt(c.left, 16)+"\r\n")
	t.Size, t.LastChunk = c.left, c.left == 0
	return t
}

// made is a segment that the peer did not send.
func (c *chunker) made(s wire.Segment, part wire.Part, text string) wire.Segment {
	return wire.Segment{Dir: s.Dir, Part: part, Data: []byte(text), Off: inserted, Pos: inserted,
		Message: s.Message, Head: s.Head, Index: c.index, First: true, Last: true}
}
