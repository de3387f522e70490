package web

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/js"
)

// The page has no build step, so nobody else says what a linter would: a name that is
// declared nowhere fails only when a click comes to it. This reads every module of the
// page and asks where each name comes from.

// browserNames are what the page takes from the language and from the browser.
var browserNames = strings.Fields(`
	Array Boolean Date Error Infinity JSON Map Math Number Object Promise Set String Uint8Array undefined
	TextEncoder URL URLSearchParams WebSocket ResizeObserver atob btoa fetch
	document history location matchMedia navigator sessionStorage window
	setInterval clearInterval setTimeout clearTimeout requestAnimationFrame cancelAnimationFrame`)

// vendored are the modules that the page's import map names.
var vendored = map[string]string{"preact": "vendor/preact.mjs", "preact/hooks": "vendor/preact-hooks.mjs", "htm": "vendor/htm.mjs"}

// module is what a source file says of names: what it uses and does not declare, what
// it takes from where, and what it gives.
type module struct {
	free, exports []string
	imports       []imported
}

type imported struct{ name, as, from string }

func readModule(source []byte) (*module, error) {
	ast, err := js.Parse(parse.NewInputBytes(source), js.Options{})
	if err != nil {
		return nil, err
	}
	m := &module{}
	for _, v := range ast.Scope.Undeclared {
		m.free = append(m.free, string(v.Data))
	}
	for _, statement := range ast.BlockStmt.List {
		switch s := statement.(type) {
		case *js.ImportStmt:
			m.addImport(s)
		case *js.ExportStmt:
			m.addExport(s)
		}
	}
	return m, nil
}

func (m *module) addImport(s *js.ImportStmt) {
	from := strings.Trim(string(s.Module), `'"`)
	if s.Default != nil {
		m.imports = append(m.imports, imported{"default", string(s.Default), from})
	}
	for _, a := range s.List {
		as := string(a.Binding)
		name := as
		if a.Name != nil {
			name = string(a.Name)
		}
		m.imports = append(m.imports, imported{name, as, from})
	}
}

func (m *module) addExport(s *js.ExportStmt) {
	if s.Default {
		m.exports = append(m.exports, "default")
		return
	}
	for _, a := range s.List {
		m.exports = append(m.exports, string(a.Binding))
	}
	switch d := s.Decl.(type) {
	case *js.FuncDecl:
		m.exports = append(m.exports, string(d.Name.Data))
	case *js.ClassDecl:
		m.exports = append(m.exports, string(d.Name.Data))
	case *js.VarDecl:
		for _, b := range d.List {
			if v, ok := b.Binding.(*js.Var); ok {
				m.exports = append(m.exports, string(v.Data))
			}
		}
	}
}

// wrong says what is wrong with the names of one of some modules.
func (m *module) wrong(modules map[string]*module) (all []string) {
	known := slices.Clone(browserNames)
	for _, i := range m.imports {
		known = append(known, i.as)
		path := vendored[i.from]
		if name, ok := strings.CutPrefix(i.from, "./"); ok {
			path = "app/" + name
		}
		switch from := modules[path]; {
		case from == nil:
			all = append(all, "there is no module "+i.from)
		case i.name != "*" && !slices.Contains(from.exports, i.name):
			all = append(all, i.from+" exports no "+i.name)
		case !slices.Contains(m.free, i.as):
			all = append(all, i.as+" is imported and not used")
		}
	}
	for _, name := range m.free {
		if !slices.Contains(known, name) {
			all = append(all, name+" is declared nowhere")
		}
	}
	return all
}

func TestNamesOfThePage(t *testing.T) {
	paths, err := filepath.Glob("app/*.js")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no modules in app/: %v", err)
	}
	page, err := os.ReadFile("index.html")
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range vendored {
		if !strings.Contains(string(page), `"`+name+`":"./`+path+`"`) {
			t.Errorf("the import map does not say that %s is %s", name, path)
		}
		paths = append(paths, path)
	}
	modules := map[string]*module{}
	for _, path := range paths {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if modules[path], err = readModule(source); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	for path, m := range modules {
		if !strings.HasPrefix(path, "app/") {
			continue
		}
		for _, what := range m.wrong(modules) {
			t.Errorf("%s: %s", path, what)
		}
	}
}

// What TestNamesOfThePage is for, it finds.
func TestWrongNamesAreFound(t *testing.T) {
	other, err := readModule([]byte("export const a = 1; export class C {}\nconst b = 2; export { b as c };\nexport default function () {}"))
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string]*module{"app/other.js": other}
	for source, want := range map[string]string{
		"import { a, c as d, C } from './other.js';\nexport const f = (x) => html`${x} ${() => a + d}` + new C();": "html is declared nowhere",
		"import o from './other.js';\no(() => { const x = 1; return x + y.x; });":                                  "y is declared nowhere",
		"import * as o from './other.js';\nfor (const k of Object.keys(o)) k.length;":                              "",
		"import { b } from './other.js';\nb();":                                                                    "./other.js exports no b",
		"import { a } from './others.js';\na;":                                                                     "there is no module ./others.js",
		"import { a } from './other.js';":                                                                          "a is imported and not used",
	} {
		m, err := readModule([]byte(source))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(m.wrong(modules), "; "); got != want {
			t.Errorf("%s\nfinds %q, want %q", source, got, want)
		}
	}
	if _, err := readModule([]byte("const x = ;")); err == nil {
		t.Error("a syntax error was not found")
	}
}
