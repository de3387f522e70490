package faults

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestRanges(t *testing.T) {
	for text, want := range map[string]struct{ in, out []uint64 }{
		"3":   {[]uint64{3}, []uint64{0, 2, 4}},
		"0":   {[]uint64{0}, []uint64{1}},
		"2-5": {[]uint64{2, 3, 5}, []uint64{1, 6}},
		"4-":  {[]uint64{4, 5, math.MaxUint64}, []uint64{3}},
		"-2":  {[]uint64{0, 1, 2}, []uint64{3}},
		"3n":  {[]uint64{3, 6, 300}, []uint64{0, 1, 2, 4}},
		"7-7": {[]uint64{7}, []uint64{6, 8}},
	} {
		r, err := ParseRange(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		hasJust(t, text, r.Has, want.in, want.out)
	}
	for _, text := range []string{"", "-", "5-2", "0n", "n", "a", "1-2-3", "+1", "1.5", "3n-", "--2", " 3", "99999999999999999999"} {
		if r, err := ParseRange(text); err == nil {
			t.Errorf("%q is %+v, want an error", text, r)
		}
	}
}

// hasJust checks which values a range has.
func hasJust[T any](t *testing.T, text string, has func(T) bool, in, out []T) {
	t.Helper()
	for _, v := range in {
		if !has(v) {
			t.Errorf("%q has not %v", text, v)
		}
	}
	for _, v := range out {
		if has(v) {
			t.Errorf("%q has %v", text, v)
		}
	}
}

func TestSpans(t *testing.T) {
	const s = time.Second
	for text, want := range map[string]struct{ in, out []time.Duration }{
		"2s-":       {[]time.Duration{2 * s, 3 * s}, []time.Duration{2*s - 1, 0}},
		"1s-5s":     {[]time.Duration{s, 5 * s}, []time.Duration{0, 5*s + 1}},
		"-1s":       {[]time.Duration{0, s}, []time.Duration{s + 1}},
		"0s-100ms":  {[]time.Duration{0}, []time.Duration{s}},
		"1.5s-1m2s": {[]time.Duration{62 * s}, []time.Duration{s}},
	} {
		r, err := parseSpan(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		hasJust(t, text, r.has, want.in, want.out)
	}
	for text, says := range map[string]string{"2s": "2s-", "": "2s-", "-": "2s-", "5s-1s": "goes up", "2-": "bare number", "1s-x": "such as"} {
		if _, err := parseSpan(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want it to say %q", text, err, says)
		}
	}
}

func TestStatuses(t *testing.T) {
	for text, want := range map[string]Range{
		"404": {Low: 404, High: 404}, "5xx": {Low: 500, High: 599}, "2XX": {Low: 200, High: 299}, "200-299": {Low: 200, High: 299},
		"400-": {Low: 400, High: 999}, "-199": {Low: 100, High: 199}, "1xx": {Low: 100, High: 199}, "999": {Low: 999, High: 999},
	} {
		if got, err := parseStatus(text); err != nil || got != want {
			t.Errorf("%q is %+v (%v), want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "xx", "5x", "0xx", "99", "1000", "3n", "ok", "299-200", "-99"} {
		if got, err := parseStatus(text); err == nil {
			t.Errorf("%q is %+v, want an error", text, got)
		}
	}
}

// A range is written so that it is read as the same again.
func FuzzRanges(f *testing.F) {
	for _, s := range []string{"3", "2-5", "4-", "-2", "3n", "0", "18446744073709551615"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := ParseRange(s); err == nil {
			if again, err := ParseRange(r.String()); err != nil || again != r {
				t.Errorf("%q is %+v, written %q, read as %+v (%v)", s, r, r, again, err)
			}
		}
		if r, err := parseStatus(s); err == nil && (r.Low < 100 || r.High > 999 || r.Low > r.High) {
			t.Errorf("status %q is %+v", s, r)
		}
		if r, err := parseSpan(s); err == nil && (r.low < 0 || r.low > r.high) {
			t.Errorf("idle %q is %+v", s, r)
		}
	})
}
