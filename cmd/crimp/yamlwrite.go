package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// jsonToYAML writes a JSON object as block YAML, keys in their order. Of texts
// only plain words stand without quotes: what a YAML reader may take for
// something else (1e3, .inf, no, "a: b") differs from reader to reader.
func jsonToYAML(raw []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	w := yamlWriter{in: d}
	err := w.value("", "")
	return w.out.Bytes(), err
}

type yamlWriter struct {
	in  *json.Decoder
	out bytes.Buffer
}

// value writes the next value. What precedes a scalar on its line is lead;
// indent is that of a block's lines.
func (w *yamlWriter) value(lead, indent string) error {
	t, err := w.in.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		return w.block(t, lead, indent)
	case string:
		w.out.WriteString(lead + yamlText(t) + "\n")
	case nil:
		w.out.WriteString(lead + "null\n")
	default:
		fmt.Fprintf(&w.out, "%s%v\n", lead, t)
	}
	return nil
}

// block writes a mapping or a list, each item on its own line.
func (w *yamlWriter) block(open json.Delim, lead, indent string) error {
	if !w.in.More() {
		fmt.Fprintf(&w.out, "%s%s\n", lead, map[json.Delim]string{'{': "{}", '[': "[]"}[open])
		_, err := w.in.Token()
		return err
	}
	switch {
	case lead == "" || strings.HasSuffix(lead, "- "): // the first item goes on this line
		w.out.WriteString(lead)
	default:
		w.out.WriteString(strings.TrimRight(lead, " ") + "\n" + indent)
	}
	for first := true; w.in.More(); first = false {
		if !first {
			w.out.WriteString(indent)
		}
		if err := w.item(open, indent); err != nil {
			return err
		}
	}
	_, err := w.in.Token()
	return err
}

func (w *yamlWriter) item(open json.Delim, indent string) error {
	if open == '[' {
		return w.value("- ", indent+"  ")
	}
	key, err := w.in.Token()
	if err != nil {
		return err
	}
	return w.value(yamlText(fmt.Sprint(key))+": ", indent+"  ")
}

var (
	plainText = regexp.MustCompile(`^([A-Za-z_/][A-Za-z0-9_./-]*|\d+(\.\d+){3}:\d+|\d+(\.\d+)?[A-Za-z]*[A-DF-Za-df-z])$`) // words, addresses, 30s, 4MiB
	notText   = regexp.MustCompile(`^(?i:true|false|null|yes|no|on|off|y|n|inf|nan|0[xob].*)$`)
)

// yamlText is a text as every YAML reader takes it.
func yamlText(s string) string {
	if plainText.MatchString(s) && !notText.MatchString(s) {
		return s
	}
	return strconv.QuoteToASCII(s)
}
