// Package wire turns the bytes of an HTTP/1 connection into segments that say
// where each byte stands, without changing a single one of them.
//
// Joined, the segments of a direction are always exactly the bytes that were
// fed: [Pair.Feed] never drops, adds, reorders or normalises anything, and it
// never fails. What cannot be placed (a TLS handshake, a broken chunk size, two
// Content-Length fields that disagree) turns the direction [Opaque] and flows on.
//
// Read segment.go for what comes out, pair.go for what goes in, framing.go for
// RFC 9112 section 6.3 and tokenizer.go for the machine itself, with startline.go
// and chunk.go for the two kinds of line that it reads byte by byte, and whole.go for
// heads that need not be taken apart.
//
//	p := wire.NewPair(func(s wire.Segment) { fmt.Printf("%v %q\n", s.Part, s.Data) })
//	p.Feed(wire.Upstream, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
//	p.Expect(wire.MethodOther) // the request was forwarded: the next response answers it
//	p.Feed(wire.Downstream, []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
package wire

// Direction is the way bytes flow between the two legs of a session.
type Direction uint8

const (
	Downstream Direction = iota // server to client
	Upstream                    // client to server
)

// Other is the opposite direction.
func (d Direction) Other() Direction { return d ^ 1 }

// String is the word used in rules and events: "downstream" or "upstream".
func (d Direction) String() string {
	if d == Upstream {
		return "upstream"
	}
	return "downstream"
}

// Part says what a segment's bytes are in their message (RFC 9112 section 2.1).
type Part uint8

const (
	Opaque     Part = iota // not HTTP, or HTTP that could not be placed
	StartLine              // request line or status line, line end included
	Field                  // one field line with its line end, folded lines included
	HeadEnd                // the blank line that ends the head; with Start: all of the head ([Pair.Whole])
	Body                   // body bytes of a length-framed or close-delimited message
	ChunkSize              // chunk-size line: digits, extensions, line end; the last chunk's "0\r\n" too
	ChunkData              // data of a chunk
	ChunkEnd               // line end after a chunk's data
	Trailer                // one trailer field line
	MessageEnd             // the blank line after the last chunk and its trailers
)

var partNames = [...]string{"opaque", "start_line", "field", "head_end", "body", "chunk_size", "chunk_data", "chunk_end", "trailer", "message_end"}

// String is the part's name as events carry it.
func (p Part) String() string { return partNames[p] }

// Segment is a run of bytes of one part. A part that arrives in pieces is
// emitted in pieces; First and Last mark its borders.
//
// Three things need care. A field line whose line end was the last byte fed may
// yet be folded (RFC 9112 section 5.2): its Last is said by an empty segment once
// the next byte has come. Empty lines between messages (RFC 9112 section 2.2) are
// Opaque with Message 0, an element each, and do not make the direction opaque:
// ask [Pair.Opaque]. And where a direction turns opaque in the middle of a
// message, that message has no End and its last element no Last.
type Segment struct {
	Dir  Direction
	Part Part
	// Data is the exact bytes, valid until the next call on the Pair. It may be
	// empty when only Last or End is to be said (EOF, Skip).
	Data []byte
	Off  int64 // of Data[0] in the direction's stream
	Pos  int64 // of Data[0] in the message, head included; 0 outside any message
	// Message counts the messages of this direction's stream from 1, interim
	// responses included; 0 for opaque bytes outside any message.
	Message int
	// Index is the field's or chunk's number in its message, from 1: the N-th
	// Field or Trailer line, the N-th chunk for Chunk parts (the last chunk too).
	Index int
	// Size is the whole data size of a chunk: on the ChunkSize segment with Last,
	// on ChunkData and on ChunkEnd; else 0.
	Size int64
	// LastChunk is set on the ChunkSize segment with Last of the zero-size chunk
	// that ends a chunked body: trailers and MessageEnd follow.
	LastChunk bool
	First     bool // Data[0] is the first byte of this part element
	Last      bool // Data ends this part element
	Start     bool // the first segment of its message
	End       bool // this segment ends its message
	// Head describes the message's head as far as it has been seen. It is
	// complete from the HeadEnd segment with Last on and stays valid until the
	// next message of the direction starts, or [Pair.Rest]. Nil for opaque bytes
	// outside any message.
	Head *Head
	// Apart is never set here: a rule sets it on bytes that are to leave in a write
	// and a TCP segment of their own, those with the same number together.
	Apart uint64
}

// Slice is the part of the segment from byte i up to byte j of Data, with
// offsets and the First, Last, Start and End marks adjusted to it. An Off below 0
// marks bytes that are not the stream's: it stays.
func (s Segment) Slice(i, j int) Segment {
	t := s
	t.Data = s.Data[i:j:j]
	if s.Off >= 0 {
		t.Off += int64(i)
	}
	if s.Message != 0 && s.Off >= 0 {
		t.Pos += int64(i)
	}
	t.First = s.First && i == 0
	t.Start = s.Start && i == 0
	t.Last = s.Last && j == len(s.Data)
	t.End = s.End && j == len(s.Data)
	return t
}
