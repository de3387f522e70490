package faults

import (
	"bytes"
	"strings"

	"crimp/faults/wire"
)

// What a match reads from a request's head. Nothing here allocates.

// pathOf is the path of a request target in any of its forms (RFC 9112 section
// 3.2), without the query. The authority-form of CONNECT has none; "*" is itself.
func pathOf(target []byte) []byte {
	if _, rest, absolute := splitAbsolute(target); absolute {
		target = rest
		if len(target) == 0 || target[0] != '/' {
			return slash
		}
	}
	if i := bytes.IndexAny(target, "?#"); i >= 0 {
		target = target[:i]
	}
	if len(target) > 0 && (target[0] == '/' || target[0] == '*') {
		return target
	}
	return nil
}

var slash = []byte("/")

// splitAbsolute takes an absolute-form target apart: its authority, without user
// information, and what follows.
func splitAbsolute(target []byte) (authority, rest []byte, ok bool) {
	i := bytes.Index(target, []byte("://"))
	if i <= 0 || bytes.IndexByte(target[:i], '/') >= 0 || bytes.IndexByte(target[:i], '?') >= 0 {
		return nil, nil, false
	}
	rest = target[i+3:]
	end := bytes.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, rest = rest[:end], rest[end:]
	if at := bytes.LastIndexByte(authority, '@'); at >= 0 {
		authority = authority[at+1:]
	}
	return authority, rest, true
}

// aHostGlob is a glob over hosts, and whether it says a port.
type aHostGlob struct {
	text string
	port bool
}

func hostGlob(s string) aHostGlob {
	host, port := splitPort([]byte(s))
	if port == nil {
		return aHostGlob{text: string(bare(host))}
	}
	return aHostGlob{text: string(bare(host)) + ":" + string(port), port: true}
}

// splitPort parts host and port; port is nil where there is none. An IPv6 address
// has brackets, or more than one colon and no port.
func splitPort(authority []byte) (host, port []byte) {
	i := bytes.LastIndexByte(authority, ':')
	if i < 0 || bytes.IndexByte(authority[i:], ']') >= 0 {
		return authority, nil
	}
	if authority[0] != '[' && bytes.IndexByte(authority[:i], ':') >= 0 {
		return authority, nil
	}
	return authority[:i], authority[i+1:]
}

// bare is a host without brackets.
func bare(host []byte) []byte {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}

// authorityOf is whom a request is for: the authority of its target if that has
// one (it wins over the field, RFC 9112 section 3.2.2), else Host.
func authorityOf(h *wire.Head) (authority []byte, ok bool) {
	if authority, _, ok = splitAbsolute(h.Target()); ok {
		return authority, true
	}
	if wire.MethodOf(h.Method()) == wire.MethodConnect {
		return h.Target(), true
	}
	if i := h.Find("Host"); i >= 0 {
		return h.Value(i), true
	}
	return nil, false
}

// askHost compares the host the request is for.
func askHost(f *Facts, glob aHostGlob) Answer {
	h := f.Request
	if h == nil {
		return later(f)
	}
	authority, ok := authorityOf(h)
	if !ok && h.Complete {
		return No
	} else if !ok {
		return later(f)
	}
	host, port := splitPort(authority)
	if !glob.port {
		return sure(globMatch(glob.text, bare(host), true))
	}
	colon := strings.LastIndexByte(glob.text, ':')
	return sure(globMatch(glob.text[:colon], bare(host), true) && globMatch(glob.text[colon+1:], port, true))
}

// askHeader says whether any field called name has a value that matches.
func askHeader(f *Facts, name, glob string) Answer {
	h := f.Request
	if h == nil {
		return later(f)
	}
	for i := range h.Fields {
		if equalFold(h.Name(i), name) && globMatch(glob, h.Value(i), false) {
			return Yes
		}
	}
	if h.Complete {
		return No
	}
	return later(f)
}

// equalFold compares ASCII without case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

// RequestHead makes a complete head of what is recorded of a request, so that a
// match can be asked about an exchange that is over.
func RequestHead(method, target, host string) *wire.Head {
	h := &wire.Head{Request: true, Complete: true, Declared: -1, Minor: 1}
	h.Raw = append(h.Raw, method+" "+target+" HTTP/1.1"...)
	m, t := len(method), len(method)+1+len(target)
	h.Word = [3][2]int{{0, m}, {m + 1, t}, {t + 1, len(h.Raw)}}
	h.StartStop = len(h.Raw)
	h.Raw = append(h.Raw, "\r\n"...)
	h.StartEnd = len(h.Raw)
	if host != "" {
		start := len(h.Raw)
		h.Raw = append(h.Raw, "Host: "+host+"\r\n"...)
		h.Fields = append(h.Fields, wire.Line{Start: start, Colon: start + 4, Value: start + 6, Stop: len(h.Raw) - 2, End: len(h.Raw)})
	}
	h.Raw = append(h.Raw, "\r\n"...)
	return h
}
