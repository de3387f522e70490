package faults

import (
	"bytes"
	"encoding"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// Each row: what is given, what it is written as again, or what the error must say.
func TestValuesAsText(t *testing.T) {
	for _, row := range []struct {
		into  interface{ encoding.TextUnmarshaler }
		given string
		want  string // canonical text; empty if refused
		err   string // part of the message
	}{
		{new(Duration), "250ms", "250ms", ""},
		{new(Duration), "1.5s", "1.5s", ""},
		{new(Duration), "60s", "1m", ""},
		{new(Duration), "1h", "1h", ""},
		{new(Duration), "1h0m5s", "1h0m5s", ""},
		{new(Duration), "90m", "1h30m", ""},
		{new(Duration), "0s", "0s", ""},
		{new(Duration), "250", "", "250: a bare number does not say its unit"},
		{new(Duration), "0", "", "a bare number"},
		{new(Duration), "-1s", "", "0s or more"},
		{new(Duration), "soon", "", "such as 250ms"},
		{new(Duration), "", "", "such as 250ms"},

		{new(Size), "4096", "4KiB", ""},
		{new(Size), "4097", "4097", ""},
		{new(Size), "64KiB", "64KiB", ""},
		{new(Size), "64Ki", "64KiB", ""},
		{new(Size), "1MB", "1MB", ""},
		{new(Size), "10k", "10kB", ""},
		{new(Size), "10KB", "10kB", ""},
		{new(Size), "1.5MiB", "1536KiB", ""},
		{new(Size), "1GiB", "1GiB", ""},
		{new(Size), "100B", "100", ""},
		{new(Size), "0", "0", ""},
		{new(Size), "-1", "", "such as 4096"},
		{new(Size), "+1", "", "such as 4096"},
		{new(Size), "10Mb", "", "b would be bits"},
		{new(Size), "1.0001k", "", "whole number of bytes"},
		{new(Size), "1.5", "", "such as 4096"},
		{new(Size), "10 MB", "", "such as 4096"},
		{new(Size), "99999999999GB", "", "more than"},
		{new(Size), "MB", "", "such as 4096"},
		{new(Size), "", "", "such as 4096"},

		{new(Rate), "10MB/s", "10MB/s", ""},
		{new(Rate), "100kB/s", "100kB/s", ""},
		{new(Rate), "999B/s", "999B/s", ""},
		{new(Rate), "1Mi/s", "1MiB/s", ""},
		{new(Rate), "10MB", "", "write 10MB/s"},
		{new(Rate), "1000", "", "write 1kB/s"},
		{new(Rate), "8Mb/s", "", "bits"},

		{new(Percent), "50%", "50%", ""},
		{new(Percent), "0.1%", "0.1%", ""},
		{new(Percent), "7%", "7%", ""},
		{new(Percent), "0.3", "30%", ""},
		{new(Percent), "1", "100%", ""},
		{new(Percent), "0", "0%", ""},
		{new(Percent), "33.333%", "33.333%", ""},
		{new(Percent), "101%", "", "0% to 100%"},
		{new(Percent), "50", "", "write 50%"},
		{new(Percent), "-1%", "", "0% to 100%"},
		{new(Percent), "NaN", "", "0% to 100%"},
		{new(Percent), "1e-1", "", "0% to 100%"},

		{new(Ending), "fin", "fin", ""},
		{new(Ending), "RST", "rst", ""},
		{new(Ending), "", "", ""},
		{new(Ending), "rts", "", `did you mean "rst"?`},
		{new(Other), "drain", "drain", ""},
		{new(Other), "fin", "", "close, drain, rst, keep"},
		{new(Then), "keep", "keep", ""},
		{new(Then), "stall", "", "keep, fin, rst"},
	} {
		err := row.into.UnmarshalText([]byte(row.given))
		name := fmt.Sprintf("%T %q", row.into, row.given)
		switch {
		case row.err != "":
			if err == nil || !strings.Contains(err.Error(), row.err) {
				t.Errorf("%s: error %v, want it to say %q", name, err, row.err)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			if got := fmt.Sprint(row.into); got != row.want {
				t.Errorf("%s: written as %q, want %q", name, got, row.want)
			}
		}
	}
}

// Whatever the value, its text is read as the same value.
func TestValuesRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		n := r.Int64() >> r.IntN(63)
		check := func(in, out interface {
			encoding.TextMarshaler
			encoding.TextUnmarshaler
		}, same func() bool) {
			text, err := in.MarshalText()
			if err == nil {
				err = out.UnmarshalText(text)
			}
			if err != nil || !same() {
				t.Fatalf("%T: %q is read as %v (%v)", in, text, out, err)
			}
		}
		d, d2 := Duration(n), Duration(0)
		check(&d, &d2, func() bool { return d == d2 })
		s, s2 := Size(n), Size(0)
		check(&s, &s2, func() bool { return s == s2 })
		rate, rate2 := Rate(n), Rate(0)
		check(&rate, &rate2, func() bool { return rate == rate2 })
		p, p2 := Percent(float64(r.IntN(100001))/100000), Percent(0)
		check(&p, &p2, func() bool { return p == p2 || p-p2 < 1e-12 && p2-p < 1e-12 })
	}
}

func TestByteStrings(t *testing.T) {
	for given, want := range map[string]string{
		`text:HTTP/1.1 200 OK\r\n\r\n`: "HTTP/1.1 200 OK\r\n\r\n",
		`text:a\x00\xff\t\0\\\"é`:      "a\x00\xff\t\x00\\\"é",
		"text:":                        "",
		"text:a:b":                     "a:b",
		"hex:0d0A":                     "\r\n",
		"":                             "",
		"text:already\r\nhere":         "already\r\nhere",
	} {
		var b ByteString
		if err := b.UnmarshalText([]byte(given)); err != nil || string(b.Bytes(nil)) != want || b.String() != given {
			t.Errorf("%q: %q as %q (%v), want %q", given, b.Bytes(nil), b, err, want)
		}
	}
	for given, says := range map[string]string{
		"hello":        "text:..., hex:... or random:N",
		`text:\q`:      `unknown escape \q`,
		`text:\x1`:     `unknown escape \x`,
		`text:\`:       "lone",
		"hex:abc":      "pairs of hexadecimal digits",
		"random:":      "size",
		"random:0":     "1 to 16MiB",
		"random:17MiB": "1 to 16MiB",
		"random:a few": "size",
		"file:/a":      "text:..., hex:... or random:N",
	} {
		b := ByteString{Text: "before"}
		if err := b.UnmarshalText([]byte(given)); err == nil || !strings.Contains(err.Error(), says) || b.Text != "before" {
			t.Errorf("%q: %v, want it to say %q", given, err, says)
		}
	}
}

// random: is as long as said and depends on the draws alone.
func TestRandomBytes(t *testing.T) {
	var b ByteString
	if err := b.UnmarshalText([]byte("random:1KiB")); err != nil || b.Len() != 1024 {
		t.Fatal(b.Len(), err)
	}
	one := b.Bytes(draw(1, "web", "garbage", 1, 1).Uint64)
	again := b.Bytes(draw(1, "web", "garbage", 1, 1).Uint64)
	other := b.Bytes(draw(2, "web", "garbage", 1, 1).Uint64)
	if len(one) != 1024 || !bytes.Equal(one, again) || bytes.Equal(one, other) {
		t.Error("random bytes do not follow the seed")
	}
}

func TestThenEndings(t *testing.T) {
	for then, end := range map[Then]Ending{ThenKeep: NoEnding, ThenFin: Fin, ThenRst: Rst} {
		if then.Ending() != end {
			t.Errorf("%v ends with %v", then, then.Ending())
		}
	}
	if d := Duration(90 * time.Second); d.String() != "1m30s" {
		t.Error(d)
	}
}
