package middlebox

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"crimp/faults"
)

// Where rules change bytes, what a peer got is laid beside what was sent: marks
// are left out, a Content-Length line may stand in any of the forms that the rules
// there were give it, and where a dumb proxy was at work requests may be missing.

// site is a place in a text where something else may stand.
type site struct {
	from, to int      // of the text
	forms    []string // instead of it; the longest first
	jump     bool     // from here on anything may be missing
}

// align says how many bytes of what was sent in a direction got accounts for;
// false: it cannot have come of it.
func (s *simSession) align(dir int, got []byte) (int, bool) {
	from := s.sender(dir)
	sent := from.says.raw[:from.sent]
	if !s.route.edited(dir) {
		n := len(got)
		return n, n <= len(sent) && bytes.Equal(got, sent[:n])
	}
	if s.route.wild() {
		return len(sent), true
	}
	got = unmarked(got)
	return lay(got, sent, 0, s.sites(dir))
}

func unmarked(b []byte) []byte {
	if bytes.IndexByte(b, mark) < 0 {
		return b
	}
	return bytes.ReplaceAll(b, []byte{mark}, nil)
}

// lay tries the sites one after the other and says how far the text at p is
// accounted for at best: all of it if got can be all of it.
func lay(got, sent []byte, p int, sites []site) (int, bool) {
	for i, x := range sites {
		n := x.from - p
		if n < 0 {
			continue
		}
		if len(got) < n || x.from > len(sent) {
			break
		}
		if !bytes.Equal(got[:n], sent[p:x.from]) {
			return 0, false
		}
		got, p = got[n:], x.from
		best, ok := lay(got, sent, p, sites[i+1:]) // as it was sent
		try := func(q int, yes bool) {
			if yes {
				best, ok = max(best, q), true
			}
		}
		for _, form := range x.forms {
			switch {
			case len(got) >= len(form) && string(got[:len(form)]) == form && x.to <= len(sent):
				try(lay(got[len(form):], sent, x.to, sites[i+1:]))
			case len(got) < len(form) && form[:len(got)] == string(got):
				try(p, true)
			}
		}
		for q := p + 1; x.jump && q <= len(sent); q++ {
			try(lay(got, sent, q, sites[i+1:]))
		}
		return best, ok
	}
	if n := p + len(got); n <= len(sent) && bytes.Equal(got, sent[p:n]) {
		return n, true
	}
	return 0, false
}

// sites are the places of a direction's text that the route's rules may have changed.
func (s *simSession) sites(dir int) []site {
	var out []site
	says := s.sender(dir).says
	for i := range says.msgs {
		m := &says.msgs[i]
		for k := range s.route.ever {
			d := &s.route.ever[k]
			switch {
			case d.effect == rewrites && d.covers(dir):
				out = append(out, m.rewritten(d))
			case d.effect == deafens && dir == 1:
				out = append(out, site{from: m.end(), to: m.end(), jump: true})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b site) int { return a.from - b.from })
	return out
}

// rewritten is what content_length makes of a message.
func (m *message) rewritten(d *drawnRule) site {
	p := d.Params
	if p == nil {
		f, _ := faults.Lookup(d.Fault)
		p = f.Defaults
	}
	mode, value := fmt.Sprint(p["mode"]), fmt.Sprint(p["value"])
	if p["value"] == nil {
		value = ""
	}
	for _, f := range m.fields {
		if string(m.raw[f.name:f.colon]) != "Content-Length" {
			continue
		}
		line, eol := string(m.raw[f.name:f.value]), string(m.raw[f.stop:f.end])
		old := string(m.raw[f.value:f.stop])
		form := ""
		switch mode {
		case "add":
			n, _ := strconv.Atoi(value)
			if value == "" {
				n = 10
			}
			form = line + strconv.Itoa(m.declared+n) + eol
		case "set":
			form = line + value + eol
		case "duplicate":
			second := old
			if value != "" {
				n, _ := strconv.Atoi(value)
				second = strconv.Itoa(m.declared + n)
			}
			form = line + old + eol + line + second + eol
		case "list":
			form = line + old + ", " + old + eol
		case "garbage":
			form = line + "abc" + eol
		}
		return site{from: m.at + f.name, to: m.at + f.end, forms: []string{form}}
	}
	if mode == "set" {
		return site{from: m.at + m.blank, to: m.at + m.blank, forms: []string{"Content-Length: " + value + "\r\n"}}
	}
	return site{from: m.end(), to: m.end()}
}
