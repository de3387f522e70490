package faults

// Three small vocabularies say how connections end. Each is an enumeration that
// travels as its word; the first listed is what a kind uses when nothing is said.

// Ending is what the receiver of a direction gets (faults.md, "Ending").
type Ending uint8

const (
	NoEnding Ending = iota // "": only bytes change, nothing ends
	Fin                    // FIN after all that was said before; its input is read away until its FIN or RST
	Close                  // like a crashed process: FIN, and once that is acknowledged later input is answered with RST
	Rst                    // RST once what was said before is acknowledged (bounded)
	StallEnd               // nothing more: the connection stays until disarmed or acted on
)

var endingWords = []string{"", "fin", "close", "rst", "stall"}

// String is the ending's word; that of NoEnding is empty.
func (e Ending) String() string { return endingWords[e] }

// MarshalText gives the ending's word.
func (e Ending) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads the ending's word; the empty text is NoEnding.
func (e *Ending) UnmarshalText(text []byte) error {
	n, err := wordIndex(endingWords, string(text))
	if err == nil {
		*e = Ending(n)
	}
	return err
}

func (Ending) words() []string { return endingWords[1:] }

// Other is what the sender gets when the direction it sends in is ended.
type Other uint8

const (
	OtherClose Other = iota // FIN, then later input is answered with RST
	OtherDrain              // its message is read to the end and it sees success
	OtherRst                // RST
	OtherKeep               // nothing: its connection stays
)

var otherWords = []string{"close", "drain", "rst", "keep"}

// String is the word of what the sender gets.
func (o Other) String() string { return otherWords[o] }

// MarshalText gives the word.
func (o Other) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the word.
func (o *Other) UnmarshalText(text []byte) error {
	n, err := wordIndex(otherWords, string(text))
	if err == nil {
		*o = Other(n)
	}
	return err
}

func (Other) words() []string { return otherWords }

// Then is what follows extra bytes: the stream goes on, or it ends.
type Then uint8

const (
	ThenKeep Then = iota // the stream goes on
	ThenFin              // Fin
	ThenRst              // Rst
)

var thenWords = []string{"keep", "fin", "rst"}

// String is the word of what follows.
func (t Then) String() string { return thenWords[t] }

// MarshalText gives the word.
func (t Then) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the word.
func (t *Then) UnmarshalText(text []byte) error {
	n, err := wordIndex(thenWords, string(text))
	if err == nil {
		*t = Then(n)
	}
	return err
}

// Ending is the ending that follows: NoEnding for ThenKeep.
func (t Then) Ending() Ending { return [...]Ending{NoEnding, Fin, Rst}[t] }

func (Then) words() []string { return thenWords }
