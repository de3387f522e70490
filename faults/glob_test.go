package faults

import (
	"regexp"
	"strings"
	"testing"
)

func TestGlobs(t *testing.T) {
	for _, row := range []struct {
		pattern, s string
		fold, want bool
	}{
		{"/api/*", "/api/users/7", false, true}, // '*' is not stopped by '/'
		{"/api/*", "/api/", false, true},
		{"/api/*", "/apis/x", false, false},
		{"*", "", false, true},
		{"", "", false, true},
		{"", "x", false, false},
		{"/?", "/a", false, true},
		{"/?", "/", false, false},
		{"*.js", "/a.js.js", false, true},
		{"*a*b", "xaxxb", false, true},
		{"*a*b", "xbxxa", false, false},
		{"GET", "get", false, false},
		{"GET", "get", true, true},
		{"a*", "A", true, true},
		{"[a]", "a", false, false}, // no other character is special
	} {
		if got := globMatch(row.pattern, []byte(row.s), row.fold); got != row.want {
			t.Errorf("%q matches %q: %v", row.pattern, row.s, got)
		}
	}
}

// The same answers as a regular expression gives, and no pattern takes long.
func FuzzGlob(f *testing.F) {
	f.Add("*a*b?", "xaxbx")
	f.Add("/api/*", "/api")
	f.Add("**", "")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 50 || len(s) > 200 || strings.ContainsFunc(pattern+s, func(r rune) bool { return r >= 0x80 }) {
			return
		}
		expr := strings.NewReplacer(`\*`, `(?s:.*)`, `\?`, `(?s:.)`).Replace(regexp.QuoteMeta(pattern))
		if want := regexp.MustCompile("^" + expr + "$").MatchString(s); globMatch(pattern, []byte(s), false) != want {
			t.Errorf("%q matches %q: want %v", pattern, s, want)
		}
	})
}

func TestGlobIsNotExponential(t *testing.T) {
	if globMatch(strings.Repeat("*a", 200)+"b", []byte(strings.Repeat("a", 5000)), false) {
		t.Error("matched")
	}
}
