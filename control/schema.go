package control

import (
	"encoding"
	"encoding/json"
	"maps"
	"net/http"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

// This file says the protocol and the configuration as JSON Schema, from the
// table of methods and the types themselves. It is for editors and for other
// languages' clients; crimp itself decodes strictly and does not use it.
//
// The document as a whole is the schema of the configuration file; methods,
// notifications and errors stand beside it under their own keys.

// required are the members that inputs from other packages must have; our own
// say so by tag. All else has a default.
var required = map[reflect.Type][]string{
	reflect.TypeFor[middlebox.Route](): {"name", "listen"},
	reflect.TypeFor[faults.Rule]():     {"fault"},
}

// words are the values of members that say no enum by tag.
var words = map[reflect.Type]map[string][]string{
	reflect.TypeFor[middlebox.Route](): {
		"protocol": {"auto", "http", "tcp"}, "mode": {"forward", "proxy"}, "on_dial_error": {"rst", "fin", "502"},
	},
	reflect.TypeFor[middlebox.Limits](): {"excess": {"rst", "fin"}},
	reflect.TypeFor[middlebox.Filter](): {
		"type": eventTypesAndWords(), "outcome": {"ok", "cut", "rst", "stalled", "open"},
	},
}

// scalars are the types that JSON shows as something else than their Go kind.
var scalars = map[reflect.Type]object{
	reflect.TypeFor[time.Time]():       {"type": "string", "format": "date-time"},
	reflect.TypeFor[[]byte]():          {"type": "string", "contentEncoding": "base64"},
	reflect.TypeFor[netip.AddrPort]():  {"type": "string", "examples": []any{"127.0.0.1:8080"}, "description": "an address and a port"},
	reflect.TypeFor[faults.Duration](): {"type": "string", "examples": []any{"250ms"}, "description": "a duration with its unit"},
	reflect.TypeFor[faults.Size]():     {"type": []any{"string", "integer"}, "examples": []any{"64KiB"}, "description": "a size in bytes"},
	reflect.TypeFor[faults.Percent]():  {"type": []any{"string", "number"}, "examples": []any{"30%"}, "description": "a share, as 30% or 0.3"},
}

type object = map[string]any

func serveSchema(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	writeBody(w, Schema())
}

// Schema is the JSON Schema document of the configuration and the protocol.
var Schema = sync.OnceValue(func() []byte {
	g := &schemaWriter{defs: object{}, types: map[string]reflect.Type{}}
	config := g.of(reflect.TypeFor[Configuration](), true)
	calls := object{}
	for _, m := range methods {
		calls[m.name] = object{"description": m.help, "params": g.of(m.params, true)}
	}
	for _, m := range methods { // after all inputs: what is both is strict
		calls[m.name].(object)["result"] = g.of(m.result, false)
	}
	errorNumbers := object{"parse": codeParse, "invalid_request": codeInvalidRequest, "unknown_method": codeUnknownMethod, "internal": codeInternal}
	for code, number := range numbers {
		errorNumbers[string(code)] = number
	}
	b, err := json.MarshalIndent(object{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"title":   "crimp: configuration, and protocol " + Protocol,
		"$ref":    config["$ref"],
		"$defs":   g.defs,
		"methods": calls,
		"notifications": object{
			"event":   g.of(reflect.TypeFor[EventNote](), false),
			"stats":   g.of(reflect.TypeFor[StatsNote](), false),
			"resync":  g.of(reflect.TypeFor[ResyncNote](), false),
			"capture": g.of(reflect.TypeFor[CaptureNote](), false),
		},
		"errors":     errorNumbers,
		"eventTypes": eventTypes,
	}, "", " ")
	if err != nil {
		panic(err) // only our own types are in it
	}
	return b
})

// schemaWriter collects the definitions of named structs.
type schemaWriter struct {
	defs  object
	types map[string]reflect.Type
}

// of is the schema of a type. An input is strict: it has no other members.
func (g *schemaWriter) of(t reflect.Type, input bool) object {
	if s, ok := scalars[t]; ok {
		return s
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem(), input)
	case reflect.Struct:
		if t.Name() == "" {
			return g.members(t, input)
		}
		return g.named(t, input)
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return object{"type": "string"}
	}
	if t.Implements(reflect.TypeFor[json.Marshaler]()) {
		return object{}
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": g.of(t.Elem(), input)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": g.of(t.Elem(), input)}
	case reflect.Interface:
		return object{}
	}
	return object{"type": "integer"}
}

// named is a reference to the definition of a named struct.
func (g *schemaWriter) named(t reflect.Type, input bool) object {
	name := defName(t)
	if other, ok := g.types[name]; ok && other != t {
		panic("control: two types are called " + name + " in the schema")
	}
	if _, ok := g.defs[name]; !ok {
		g.types[name] = t
		g.defs[name] = object{} // it may contain itself
		def := g.members(t, input)
		if t == reflect.TypeFor[faults.Rule]() {
			describeFaults(def)
		}
		g.defs[name] = def
	}
	return object{"$ref": "#/$defs/" + name}
}

// defName is a type's name without its package: List[crimp/middlebox.Event]
// becomes ListOfEvent.
func defName(t reflect.Type) string {
	name, of, generic := strings.Cut(t.Name(), "[")
	if generic {
		of = strings.TrimSuffix(of, "]")
		name += "Of" + of[strings.LastIndexByte(of, '.')+1:]
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// members is the schema of a struct's fields, those of embedded ones included.
func (g *schemaWriter) members(t reflect.Type, input bool) object {
	properties := object{}
	var always, tagged []any
	for _, f := range reflect.VisibleFields(t) {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || tag == "-" || f.Anonymous && tag == "" {
			continue
		}
		if tag == "" {
			tag = f.Name
		}
		owner := t
		if up := f.Index[:len(f.Index)-1]; len(up) > 0 {
			owner = t.FieldByIndex(up).Type
		}
		optional := strings.Contains(options, "omit")
		p := g.of(f.Type, input)
		if f.Type.Kind() == reflect.Pointer && !optional {
			p = object{"anyOf": []any{p, object{"type": "null"}}}
		}
		properties[tag] = annotated(p, f.Tag)
		if w := words[owner][tag]; w != nil {
			properties[tag] = object{"type": "string", "enum": w}
		}
		if !optional {
			always = append(always, tag)
		}
		if f.Tag.Get("required") != "" {
			tagged = append(tagged, tag)
		}
	}
	def := object{"type": "object", "properties": properties}
	if input {
		def["additionalProperties"] = false
		always = nil
		for _, name := range required[t] {
			always = append(always, name)
		}
		always = append(always, tagged...)
	}
	if len(always) > 0 {
		def["required"] = always
	}
	return def
}

// annotated adds what a field's tags say.
func annotated(p object, tag reflect.StructTag) object {
	out := maps.Clone(p)
	if help := tag.Get("help"); help != "" {
		out["description"] = help
	}
	if enum := tag.Get("enum"); enum != "" {
		out["enum"] = strings.Split(enum, ",")
	}
	switch tag.Get("accept") { // the strict decoder's word for what else it takes
	case "number":
		out["type"] = []any{p["type"], "number"}
	case "text":
		out["type"] = []any{p["type"], "string"}
	}
	for word, key := range map[string]string{"min": "minimum", "max": "maximum"} {
		if n, err := strconv.ParseInt(tag.Get(word), 10, 64); err == nil {
			out[key] = n
		}
	}
	return out
}

// describeFaults adds to a rule's schema what parameters each fault has.
func describeFaults(rule object) {
	var names, cases []any
	for _, f := range faults.Catalogue() {
		names = append(names, f.Name)
		cases = append(cases, object{
			"if":   object{"properties": object{"fault": object{"const": f.Name}}, "required": []any{"fault"}},
			"then": object{"properties": object{"params": f.Params}},
		})
	}
	properties := rule["properties"].(object)
	properties["fault"] = object{"type": "string", "examples": names}
	properties["armed"] = object{"type": "boolean", "default": true}
	rule["allOf"] = cases
}
