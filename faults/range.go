package faults

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Range is a set of whole numbers as matches and expectations write it: "3",
// "2-5", "4-", "-5", "3n" (every third: 3, 6, 9, ...).
type Range struct {
	Low, High uint64 // both included
	Every     uint64 // 0, or only its multiples
}

// ParseRange reads a range.
func ParseRange(s string) (Range, error) {
	bad := fmt.Errorf("expected a number or range such as 3, 2-5, 4- or 3n, got %q", s)
	if every, found := strings.CutSuffix(s, "n"); found {
		n, ok := number(every, 1)
		if !ok {
			return Range{}, bad
		}
		return Range{Low: 1, High: math.MaxUint64, Every: uint64(n)}, nil
	}
	low, high, dash := strings.Cut(s, "-")
	r := Range{High: math.MaxUint64}
	if low == "" && high == "" {
		return Range{}, bad
	}
	if low != "" {
		n, ok := number(low, 0)
		if !ok {
			return Range{}, bad
		}
		r.Low = uint64(n)
	}
	switch {
	case !dash:
		r.High = r.Low
	case high != "":
		n, ok := number(high, 0)
		if !ok {
			return Range{}, bad
		}
		r.High = uint64(n)
	}
	if r.High < r.Low {
		return Range{}, fmt.Errorf("expected a range that goes up, got %q", s)
	}
	return r, nil
}

// Has says whether n is in the range.
func (r Range) Has(n uint64) bool {
	return n >= r.Low && n <= r.High && (r.Every == 0 || n%r.Every == 0)
}

// String is the range as ParseRange reads it.
func (r Range) String() string {
	low, high := strconv.FormatUint(r.Low, 10), strconv.FormatUint(r.High, 10)
	switch {
	case r.Every > 0:
		return strconv.FormatUint(r.Every, 10) + "n"
	case r.Low == r.High:
		return low
	case r.High == math.MaxUint64:
		return low + "-"
	}
	return low + "-" + high
}

// span is a range of durations: "2s-", "1s-5s", "-1s"; both ends are included.
type span struct{ low, high time.Duration }

func parseSpan(s string) (span, error) {
	bad := fmt.Errorf("expected a range of durations such as 2s-, 1s-5s or -1s, got %q", s)
	low, high, dash := strings.Cut(s, "-")
	if !dash || low == "" && high == "" {
		return span{}, bad
	}
	r := span{high: math.MaxInt64}
	for _, end := range []struct {
		text string
		to   *time.Duration
	}{{low, &r.low}, {high, &r.high}} {
		if end.text == "" {
			continue
		}
		var d Duration
		if err := d.UnmarshalText([]byte(end.text)); err != nil {
			return span{}, fmt.Errorf("%w (%q: %w)", bad, end.text, err)
		}
		*end.to = time.Duration(d)
	}
	if r.high < r.low {
		return span{}, fmt.Errorf("expected a range that goes up, got %q", s)
	}
	return r, nil
}

func (r span) has(d time.Duration) bool { return d >= r.low && d <= r.high }

// parseStatus reads "404", "5xx" or "200-299".
func parseStatus(s string) (Range, error) {
	bad := fmt.Errorf("expected a status such as 404, 5xx or 200-299, got %q", s)
	if len(s) == 3 && strings.EqualFold(s[1:], "xx") && s[0] >= '1' && s[0] <= '9' {
		hundred := uint64(s[0]-'0') * 100
		return Range{Low: hundred, High: hundred + 99}, nil
	}
	r, err := ParseRange(s)
	if err != nil || r.Every > 0 {
		return Range{}, bad
	}
	if strings.HasPrefix(s, "-") {
		r.Low = 100
	}
	if r.High == math.MaxUint64 {
		r.High = 999
	}
	if r.Low < 100 || r.High > 999 || r.High < r.Low {
		return Range{}, bad
	}
	return r, nil
}
