package faults

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// maxBytes bounds a byte string: what it makes is held in memory.
const maxBytes = 16 << 20

// ByteString is bytes as a parameter says them: "text:HTTP/1.1 200 OK\r\n\r\n"
// with the escapes \r \n \t \0 \\ \" \xHH, "hex:0d0a", or "random:1KiB". The
// empty text is no bytes.
type ByteString struct {
	Text   string // as it was given
	Fixed  []byte // the bytes of text: and hex:
	Random int    // how many bytes of random:
}

// String is the text it was read from.
func (b ByteString) String() string { return b.Text }

// Len is how many bytes it makes.
func (b ByteString) Len() int { return len(b.Fixed) + b.Random }

// Bytes makes the bytes. draw is asked for random: alone, once for eight bytes.
// The result of a fixed string is shared: do not write to it.
func (b ByteString) Bytes(draw func() uint64) []byte {
	if b.Random == 0 {
		return b.Fixed
	}
	out := make([]byte, 0, b.Random+7)
	for len(out) < b.Random {
		out = binary.LittleEndian.AppendUint64(out, draw())
	}
	return out[:b.Random]
}

// MarshalText gives the text it was read from.
func (b ByteString) MarshalText() ([]byte, error) { return []byte(b.Text), nil }

// UnmarshalText reads one of the three forms.
func (b *ByteString) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "" {
		*b = ByteString{}
		return nil
	}
	form, rest, _ := strings.Cut(s, ":")
	out := ByteString{Text: s}
	var err error
	switch canonical(form) {
	case "text":
		out.Fixed, err = unescape(rest)
	case "hex":
		if out.Fixed, err = hex.DecodeString(rest); err != nil {
			err = fmt.Errorf("hex: expected pairs of hexadecimal digits, got %q", rest)
		}
	case "random":
		var n Size
		if err = n.UnmarshalText([]byte(rest)); err == nil && (n < 1 || n > maxBytes) {
			err = fmt.Errorf("random: expected 1 to %s bytes, got %s", Size(maxBytes), rest)
		}
		out.Random = int(n)
	default:
		return fmt.Errorf("expected text:..., hex:... or random:N, got %q", s)
	}
	if err == nil && len(out.Fixed) > maxBytes {
		err = fmt.Errorf("expected at most %s, got %d bytes", Size(maxBytes), len(out.Fixed))
	}
	if err == nil {
		*b = out
	}
	return err
}

func (ByteString) expects() string { return `bytes such as text:hello\r\n, hex:0d0a or random:1KiB` }

var escapes = map[byte]byte{'r': '\r', 'n': '\n', 't': '\t', '0': 0, '\\': '\\', '"': '"'}

// unescape resolves the escapes of text:.
func unescape(s string) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		i++
		if i == len(s) {
			return nil, fmt.Errorf(`text: a lone \ at the end; write \\`)
		}
		if c, ok := escapes[s[i]]; ok {
			out = append(out, c)
			continue
		}
		if s[i] == 'x' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				out = append(out, c[0])
				i += 2
				continue
			}
		}
		return nil, fmt.Errorf(`text: unknown escape \%c; known are \r \n \t \0 \\ \" \xHH`, s[i])
	}
	return out, nil
}
