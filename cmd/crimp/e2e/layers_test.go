package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// layer is what a package may use. Imports of the module point down only.
type layer struct {
	dir string // and everything below it, unless a longer one fits
	// may lists packages of this module it may import.
	may []string
	// third lists modules of others it may import.
	third []string
	why   string // said with each refusal
}

var layers = []layer{
	{dir: "faults/wire", why: "wire only says where bytes stand: it must be readable and testable with nothing else in mind"},
	{dir: "faults", may: []string{"faults/wire"},
		why: "faults only talk: a fault must be testable without a socket, a loop or a protocol"},
	{dir: "faults/faultstest", may: []string{"faults", "faults/wire"},
		why: "plays test faults alone, so they must not need what is above"},
	{dir: "middlebox/sys", third: []string{"golang.org/x/sys"},
		why: "sys is the face of the operating system: whoever simulates it must not need more than it"},
	{dir: "middlebox/simnet", may: []string{"middlebox/sys"},
		why: "simnet is the same face as sys, in memory"},
	{dir: "middlebox", may: []string{"faults", "faults/wire", "middlebox/sys", "middlebox/simnet"},
		third: []string{"github.com/rs/zerolog"},
		why:   "the middlebox must run and be simulated without any control protocol above it"},
	{dir: "control", may: []string{"faults", "middlebox"},
		third: []string{"github.com/rs/zerolog", "github.com/gorilla/websocket", "github.com/prometheus/client_golang", "github.com/goccy/go-yaml"},
		why:   "control speaks for a box; it must know neither the command line nor the page"},
	{dir: "web", why: "the page is a client like any other: it speaks only the public protocol"},
	{dir: "cmd/crimp", may: []string{"faults", "faults/wire", "middlebox", "middlebox/sys", "control", "web"},
		third: []string{"github.com/rs/zerolog", "github.com/urfave/cli/v2", "github.com/goccy/go-yaml", "github.com/prometheus/client_golang", "github.com/mattn/go-isatty", "golang.org/x/sys"},
		why:   "the command wires things up; nothing else belongs there"},
	{dir: "cmd/bench", why: "the benchmarks know crimp as its users do: as a program beside others"},
	{dir: "cmd/crimp/e2e", why: "these tests know crimp from outside only"},
}

// pure lists the packages whose source must be a function of its inputs.
var pure = []string{"faults", "faults/wire"}

// impure imports, with the reason in the refusal.
var impure = map[string]string{
	"net": "no sockets: they belong to middlebox/sys", "net/http": "no sockets: they belong to middlebox/sys",
	"os": "no operating system: what is needed comes in with Step", "os/exec": "no operating system", "syscall": "no operating system", "io/fs": "no operating system",
	"math/rand": "no global randomness: draws are math/rand/v2 sources seeded by hash of names", "crypto/rand": "every draw must be repeatable",
	"unsafe": "only middlebox/sys may", "log": "faults tell with notes",
}

// impureCalls are selectors of allowed packages that would bring a clock or global state in.
var impureCalls = map[string]string{
	"time.Now": "now is an argument", "time.Since": "now is an argument", "time.Until": "now is an argument",
	"time.Sleep": "nothing here waits", "time.After": "nothing here waits", "time.AfterFunc": "nothing here waits",
	"time.NewTimer": "ask with Writer.Alarm", "time.NewTicker": "ask with Writer.Alarm", "time.Tick": "ask with Writer.Alarm",
	"fmt.Print": "faults tell with notes", "fmt.Println": "faults tell with notes", "fmt.Printf": "faults tell with notes",
}

// seeded are the only names of math/rand/v2 that are not its global source.
var seeded = []string{"New", "NewPCG", "NewChaCha8", "NewZipf", "PCG", "ChaCha8", "Rand", "Source", "Zipf"}

type source struct {
	path string // relative to the module, with slashes
	dir  string
	test bool
	file *ast.File
}

func TestImportsPointDownOnly(t *testing.T) {
	set := token.NewFileSet()
	for _, s := range sources(t, set) {
		l := layerOf(s.dir)
		if l == nil {
			t.Errorf("%s: no layer is declared for %s: add it to layers_test.go with what it may use and why", s.path, s.dir)
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			if why := refuse(s, l, path); why != "" {
				t.Errorf("%s imports %s: %s", set.Position(imp.Pos()), path, why)
			}
		}
	}
}

func refuse(s source, l *layer, path string) string {
	first, _, _ := strings.Cut(path, "/")
	switch {
	case path == "C":
		return "no cgo: the binary is static"
	case path == "unsafe":
		if s.dir != "middlebox/sys" && !s.test {
			return "unsafe only in middlebox/sys"
		}
	case first == "crimp":
		inner := strings.TrimPrefix(path, "crimp/")
		if inner == "cmd/crimp" || strings.HasPrefix(inner, "cmd/") {
			return "nothing imports the command"
		}
		if inner == l.dir || inner == s.dir || slices.Contains(l.may, inner) || s.test && testMay(s.dir, inner) {
			return ""
		}
		return l.why
	case strings.Contains(first, "."):
		for _, m := range l.third {
			if path == m || strings.HasPrefix(path, m+"/") {
				return ""
			}
		}
		if s.test && strings.HasPrefix(path, "github.com/urfave/cli") {
			return "cli only in cmd, tests too"
		}
		if s.test && l.dir != "faults/wire" {
			return "" // a test may use test tools
		}
		return "third-party modules are few and each has its place: zerolog in middlebox, control and cmd; gorilla in control; cli in cmd"
	}
	return ""
}

// testMay are the steps up that only tests take: a play drives faults, a page test needs a box behind the page.
func testMay(dir, inner string) bool {
	switch dir {
	case "faults":
		return inner == "faults/faultstest"
	case "web":
		return true
	case "control":
		return inner == "middlebox/simnet" || inner == "faults/wire" || inner == "middlebox/sys"
	case "middlebox":
		return inner == "faults/faultstest"
	}
	return false
}

func TestFaultsArePure(t *testing.T) {
	set := token.NewFileSet()
	for _, s := range sources(t, set) {
		if s.test || !slices.Contains(pure, s.dir) {
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			if why, bad := impure[path]; bad {
				t.Errorf("%s imports %s: %s", set.Position(imp.Pos()), path, why)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if why := impureNode(n); why != "" {
				t.Errorf("%s: %s", set.Position(n.Pos()), why)
			}
			return true
		})
	}
}

// The Makefile runs the tests of plays without the race detector: each play goes on in
// the one goroutine of its test, and tests follow each other.
func TestPlaysHaveOneGoroutine(t *testing.T) {
	set := token.NewFileSet()
	for _, s := range sources(t, set) {
		if s.dir != "faults/faultstest" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, _ := n.(*ast.SelectorExpr)
			_, starts := n.(*ast.GoStmt)
			if starts || call != nil && slices.Contains([]string{"Go", "Parallel", "AfterFunc"}, call.Sel.Name) {
				t.Errorf("%s: a goroutine, in tests that run without the race detector", set.Position(n.Pos()))
			}
			return true
		})
	}
}

func impureNode(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "a goroutine: a session belongs to one loop, and a play must read the same each time"
	case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
		return "a channel: nothing here waits; what happens comes in with Step"
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			return "a channel: nothing here waits; what happens comes in with Step"
		}
	case *ast.SelectorExpr:
		pkg, ok := n.X.(*ast.Ident)
		if !ok {
			return ""
		}
		if why, bad := impureCalls[pkg.Name+"."+n.Sel.Name]; bad {
			return pkg.Name + "." + n.Sel.Name + ": " + why
		}
		if pkg.Name == "rand" && ast.IsExported(n.Sel.Name) && !slices.Contains(seeded, n.Sel.Name) {
			return "rand." + n.Sel.Name + " draws from the global source: draws are seeded by hash of names"
		}
	}
	return ""
}

// layerOf finds the longest declared layer above dir.
func layerOf(dir string) *layer {
	var best *layer
	for i := range layers {
		l := &layers[i]
		if (dir == l.dir || strings.HasPrefix(dir, l.dir+"/")) && (best == nil || len(l.dir) > len(best.dir)) {
			best = l
		}
	}
	return best
}

func sources(t *testing.T, set *token.FileSet) []source {
	t.Helper()
	var out []source
	root := moduleRoot(t)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if e.IsDir() && rel != "." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || e.Name() == "node_modules") {
			return fs.SkipDir
		}
		if e.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasPrefix(rel, "examples/") {
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			return err
		}
		out = append(out, source{path: rel, dir: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go"), file: file})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 20 {
		t.Fatalf("only %d source files found below %s", len(out), root)
	}
	return out
}

// TestLayersRefuse plants what the two tests above must not let pass.
func TestLayersRefuse(t *testing.T) {
	imports := []struct{ dir, path, why string }{
		{"faults/wire", "crimp/faults", "nothing else in mind"},
		{"faults", "crimp/middlebox", "without a socket"},
		{"middlebox", "crimp/control", "without any control protocol"},
		{"control", "crimp/web", "neither the command line nor the page"},
		{"web", "crimp/control", "only the public protocol"},
		{"control", "crimp/cmd/crimp", "nothing imports the command"},
		{"control", "github.com/urfave/cli/v2", "each has its place"},
		{"middlebox", "github.com/gorilla/websocket", "each has its place"},
		{"middlebox", "unsafe", "only in middlebox/sys"},
	}
	for _, c := range imports {
		if why := refuse(source{dir: c.dir}, layerOf(c.dir), c.path); !strings.Contains(why, c.why) {
			t.Errorf("%s importing %s: refused with %q, expected %q", c.dir, c.path, why, c.why)
		}
	}
	bodies := map[string]string{
		"go func() {}()": "goroutine", "_ = make(chan int)": "channel", "_ = time.Now()": "argument",
		"_ = rand.IntN(3)": "global source", "time.Sleep(1)": "waits",
	}
	for body, want := range bodies {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() {"+body+"}", 0)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		ast.Inspect(file, func(n ast.Node) bool { got += impureNode(n); return true })
		if !strings.Contains(got, want) {
			t.Errorf("%s: refused with %q, expected %q", body, got, want)
		}
	}
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { _ = rand.New(rand.NewPCG(1, 2)); var t time.Duration }", 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if why := impureNode(n); why != "" {
			t.Errorf("what is pure is refused: %s", why)
		}
		return true
	})
}
