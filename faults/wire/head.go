package wire

// Method classes a response's framing depends on (RFC 9112 section 6.3).
type Method uint8

const (
	MethodOther   Method = iota // any method whose answers are framed by their own fields
	MethodHead                  // answers never have a body
	MethodConnect               // a 2xx answer turns both directions opaque
)

// MethodOf classes a request method; methods are case-sensitive (RFC 9110 section 9.1).
func MethodOf(name []byte) Method {
	switch string(name) {
	case "HEAD":
		return MethodHead
	case "CONNECT":
		return MethodConnect
	}
	return MethodOther
}

// Framing says how a message's body is delimited.
type Framing uint8

const (
	NoBody     Framing = iota // ends with its head
	ByLength                  // Head.Length bytes follow
	ByChunks                  // chunked, until the last chunk
	UntilClose                // everything until FIN
	Tunnel                    // 101, or 2xx to CONNECT: both directions are opaque from here
)

// Line is where one field stands in Head.Raw. Offsets are into Raw.
type Line struct {
	Start int // first byte of the name
	Colon int // the colon
	Value int // first byte of the value, white space skipped
	Stop  int // after the value's last byte, white space and line end not counted
	End   int // after the line end
}

// Head is a message's head: the raw bytes and where things stand in them. It is
// reused for the next message of its direction.
type Head struct {
	Request   bool
	Raw       []byte // the head's bytes so far, start line included, at most MaxHead kept
	StartStop int    // after the start line's last byte, line end not counted (0: not yet complete)
	StartEnd  int    // after the start line's line end
	Fields    []Line
	Complete  bool // the blank line was seen: framing below is decided

	// Start line, as offsets into Raw: method/target/version or version/status/reason.
	Word [3][2]int
	// Status is the response's status code, 0 in a request.
	Status int
	// Minor is the HTTP/1 minor version.
	Minor int

	Framing Framing
	// Length is the number of body bytes that follow when Framing is ByLength
	// or NoBody (then 0), else -1.
	Length int64
	// Declared is what Content-Length says, whether or not it frames the body
	// (answers to HEAD, 304); -1 without a usable field.
	Declared int64
}

// MaxHead is the largest head, in bytes, whose raw bytes are kept; a longer one
// turns its direction Opaque. nginx and Apache refuse heads of 32 KiB and more.
const MaxHead = 256 << 10
