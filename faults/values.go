package faults

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The values of parameters (faults.md, "Values"). Each travels as text with its
// unit, so that nobody has to know whether 250 was meant in seconds or bits.
// What is read and written again is the same value.

// Duration is a length of time, never negative: "250ms", "1m30s". A bare number
// is refused, also as JSON, because it does not say its unit.
type Duration time.Duration

// String is the shortest form with units: "1h", "1m30s", "250ms".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText gives String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a number with a unit of ns, us, ms, s, m or h, or several.
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if _, err := strconv.ParseFloat(s, 64); err == nil {
		return fmt.Errorf("expected a duration such as 250ms, got %s: a bare number does not say its unit", s)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("expected a duration such as 250ms, 1.5s or 2m, got %q", s)
	}
	if v < 0 {
		return fmt.Errorf("expected a duration of 0s or more, got %s", s)
	}
	*d = Duration(v)
	return nil
}

func (Duration) expects() string { return "a duration such as 250ms" }

// Size is a number of bytes, never negative: "4096", "64KiB", "1MB". k, M and G
// are powers of 1000, Ki, Mi and Gi of 1024; the B may be left out. JSON numbers
// are bytes.
type Size int64

// units of sizes, largest first, so that String finds the shortest exact form.
var units = []struct {
	name  string
	bytes int64
}{
	{"Gi", 1 << 30}, {"G", 1e9}, {"Mi", 1 << 20}, {"M", 1e6}, {"Ki", 1 << 10}, {"k", 1e3},
}

// String is the size in the largest unit that divides it, else plain bytes.
func (s Size) String() string {
	if n, unit := inUnits(int64(s)); unit != "" {
		return strconv.FormatInt(n, 10) + unit + "B"
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText gives String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := parseBytes(string(text))
	if err != nil {
		return fmt.Errorf("expected a size such as 4096, 64KiB or 1MB, got %q%s", text, err)
	}
	*s = Size(n)
	return nil
}

func (Size) expects() string { return "a size such as 4096, 64KiB or 1MB" }
func (Size) acceptsNumber()  {}

// Rate is a number of bytes in a second: "10MB/s". Units are as for sizes; the
// "/s" is required, and with it a bare number is bytes.
type Rate int64

// String is the rate in the largest unit that divides it.
func (r Rate) String() string {
	n, unit := inUnits(int64(r))
	return strconv.FormatInt(n, 10) + unit + "B/s"
}

// MarshalText gives String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a rate.
func (r *Rate) UnmarshalText(text []byte) error {
	amount, perSecond := strings.CutSuffix(string(text), "/s")
	n, err := parseBytes(amount)
	switch {
	case err != nil:
		return fmt.Errorf("expected a rate such as 10MB/s, got %q%s", text, err)
	case !perSecond:
		return fmt.Errorf("expected a rate such as 10MB/s, got %q: write %s", text, Rate(n))
	}
	*r = Rate(n)
	return nil
}

func (Rate) expects() string { return "a rate such as 10MB/s" }

// inUnits splits n into a count of the largest unit that divides it.
func inUnits(n int64) (int64, string) {
	for _, u := range units {
		if n != 0 && n%u.bytes == 0 {
			return n / u.bytes, u.name
		}
	}
	return n, ""
}

// parseBytes reads a number of bytes with an optional unit. Its errors are what
// follows the value in a message: empty, or ": why".
func parseBytes(s string) (int64, error) {
	digits := strings.TrimRight(s, "kKMGiBb")
	unit := s[len(digits):]
	if strings.HasSuffix(unit, "b") {
		return 0, fmt.Errorf(": b would be bits, a byte is B")
	}
	unit = strings.TrimSuffix(unit, "B")
	factor := int64(1)
	if unit != "" {
		factor = 0
		for _, u := range units {
			if unit == u.name || strings.EqualFold(unit, u.name) && unit[0] == 'K' || unit == "ki" && u.name == "Ki" {
				factor = u.bytes
			}
		}
	}
	if n, err := strconv.ParseInt(digits, 10, 64); err == nil && digits[0] >= '0' && digits[0] <= '9' && factor != 0 {
		if n > math.MaxInt64/factor {
			return 0, fmt.Errorf(": more than %d bytes", int64(math.MaxInt64))
		}
		return n * factor, nil
	}
	return parseFraction(digits, factor)
}

// parseFraction reads "1.5" of a unit, if that is a whole number of bytes.
func parseFraction(digits string, factor int64) (int64, error) {
	whole, part, found := strings.Cut(digits, ".")
	if !found || factor <= 1 || part == "" || len(whole)+len(part) > 12 || strings.Trim(whole+part, "0123456789") != "" || whole == "" {
		return 0, fmt.Errorf("")
	}
	f, err := strconv.ParseFloat(digits, 64)
	if n := f * float64(factor); err == nil && n == math.Trunc(n) && n < 1<<62 {
		return int64(n), nil
	}
	return 0, fmt.Errorf(": not a whole number of bytes")
}

// Percent is a share from 0 to 1, written "50%" or "0.1%"; a plain number from
// 0 to 1, text or JSON, is the share itself.
type Percent float64

// String is the share in hundredths with a percent sign.
func (p Percent) String() string {
	return percentText(float64(p)*100, func(shown float64) bool { return Percent(shown/100) == p }) + "%"
}

// MarshalText gives String.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a share.
func (p *Percent) UnmarshalText(text []byte) error {
	number, hundredths := strings.CutSuffix(string(text), "%")
	v, err := parsePlain(number)
	if hundredths {
		v /= 100
	}
	if err != nil || v < 0 || v > 1 {
		hint := ""
		if err == nil && !hundredths && v > 1 && v <= 100 {
			hint = fmt.Sprintf(": write %s%%", number)
		}
		return fmt.Errorf("expected a share from 0%% to 100%%, such as 50%%, 0.1%% or 0.3, got %q%s", text, hint)
	}
	*p = Percent(v)
	return nil
}

func (Percent) expects() string { return "a share such as 50%, 0.1% or 0.3" }
func (Percent) acceptsNumber()  {}

// parsePlain reads digits with an optional fraction: no sign, exponent, hex or NaN.
func parsePlain(s string) (float64, error) {
	if s == "" || strings.Trim(s, "0123456789.") != "" {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, 64)
}

// percentText writes v with as few digits as same accepts, so that 0.07*100 is
// 7 and not 7.000000000000001.
func percentText(v float64, same func(float64) bool) string {
	for digits := 1; digits <= 17; digits++ {
		short, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
		if err == nil && same(short) {
			return strconv.FormatFloat(short, 'f', -1, 64)
		}
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// wordIndex finds word among words, '-' and '_' being the same.
func wordIndex(words []string, word string) (int, error) {
	for i, w := range words {
		if canonical(w) == canonical(word) {
			return i, nil
		}
	}
	return 0, errors.New(notOneOf(word, words))
}

// notOneOf says that word is none of words, and which it may have been meant to be.
func notOneOf(word string, words []string) string {
	listed := make([]string, 0, len(words))
	for _, w := range words {
		if w != "" {
			listed = append(listed, w)
		}
	}
	return fmt.Sprintf("expected one of %s, got %q%s", strings.Join(listed, ", "), word, Hint(word, listed))
}
