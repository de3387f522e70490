package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// README.md is held to its word: what it says to type is typed here, and what it
// says will be seen is compared in shape (numbers and ports may differ).

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns the n-th (from 0) fenced block of a language.
func block(t *testing.T, language string, n int) string {
	t.Helper()
	fence := regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	for _, m := range fence.FindAllStringSubmatch(readme(t), -1) {
		if m[1] != language {
			continue
		}
		if n == 0 {
			return m[2]
		}
		n--
	}
	t.Fatalf("README.md has too few blocks of %q", language)
	return ""
}

var (
	digits = regexp.MustCompile(`\d+`)
	blanks = regexp.MustCompile(`\s+`)
)

// shape is what stays of a line when numbers and white space do not count.
func shape(s string) string {
	return strings.TrimSpace(blanks.ReplaceAllString(digits.ReplaceAllString(s, "N"), " "))
}

func TestReadmeSession(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addresses")
	var b *box
	var web string
	for line := range strings.Lines(block(t, "", 0)) {
		command, want, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "$ "), "# ")
		if !ok {
			t.Fatalf("no comment says what is seen: %s", line)
		}
		words := strings.Fields(strings.Replace(command, "go run ./cmd/crimp", "crimp", 1))
		var said string
		switch {
		case words[0] == "crimp" && words[1] == "demo":
			b = launch(t, "demo", "--control", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--addr-file", file)
			b.readAddresses(file)
			web = b.routes["web"]
			b.eventually("the demo's client", func() error {
				if crimp(t, b, "sessions", "--outcome", "open", "--expect", "1").code != 0 {
					return errNotYet
				}
				return nil
			})
			said = b.log.String()
		case words[0] == "crimp":
			r := wantOK(t, crimp(t, b, words[1:]...))
			said = r.stdout
		case words[0] == "curl":
			r := run(t, nil, "curl", strings.ReplaceAll(words[1], "127.0.0.1:8080", web))
			said = r.stderr
		default:
			t.Fatalf("who runs %q?", command)
		}
		if !strings.Contains(shape(said), shape(want)) {
			t.Errorf("$ %s\nsays %s\nREADME.md: %s", command, said, want)
		}
	}
	if help := crimp(t, nil, "demo", "--help").stdout; !strings.Contains(help, "127.0.0.1:27467") || !strings.Contains(help, "127.0.0.1:8080") {
		t.Errorf("the demo's own addresses are not those of README.md: %s", help)
	}
}

// The whole list of commands for one's own client and server, in their order.
func TestReadmeOwnPeers(t *testing.T) {
	o := always(t, answer(pattern(1024)))
	listen, file := freeAddr(t), filepath.Join(t.TempDir(), "web.pcapng")
	var b *box
	for line := range strings.Lines(block(t, "sh", 0)) {
		command, _, _ := strings.Cut(line, "  # ")
		command = strings.TrimSpace(strings.NewReplacer("127.0.0.1:8080", listen, "127.0.0.1:9000", o.addr, "web.pcapng", file).Replace(command))
		if rest, ok := strings.CutPrefix(command, "crimp serve "); ok {
			b = serve(t, strings.Fields(rest)...)
			continue
		}
		r := run(t, []string{"CRIMP_API=" + b.api, "PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH")}, "sh", "-c", command)
		want := 0
		if strings.HasPrefix(command, "crimp arm") && strings.Contains(command, "-- curl") {
			want = 18
		}
		if r.code != want {
			t.Errorf("$ %s\nexit %d, expected %d\n%s%s", command, r.code, want, r.stdout, r.stderr)
		}
		if strings.HasPrefix(command, "crimp arm web cut") {
			dial(t, listen).send(ask("/api/x")).restIs(lineAndServer+"X-Second: abcd", rst)
		}
		if strings.HasPrefix(command, "crimp disarm") {
			dial(t, listen).send(ask("/api/x")).expect(answer(pattern(1024)))
		}
	}
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), answer(pattern(1024))) {
		t.Errorf("the capture: %v, %d bytes", err, len(text))
	}
}

func TestReadmeConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "crimp.yaml")
	text := strings.NewReplacer("127.0.0.1:27467", "127.0.0.1:0", "127.0.0.1:8080", "127.0.0.1:0").Replace(block(t, "yaml", 0))
	for _, s := range []string{block(t, "yaml", 0), text} {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		wantOK(t, crimp(t, nil, "check", file))
	}
	b := serve(t, "-c", file)
	if rule, there := b.rule("web", "cut-headers"); !there || rule.Armed {
		t.Errorf("rule: %+v, there: %v", rule, there)
	}
	// state --yaml writes a file that serve takes.
	yaml := filepath.Join(t.TempDir(), "state.yaml")
	if err := os.WriteFile(yaml, []byte(wantOK(t, crimp(t, b, "state", "--yaml")).stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	wantOK(t, crimp(t, nil, "check", yaml))
}

func TestReadmePost(t *testing.T) {
	b := newBench(t, pattern(1024))
	command := strings.ReplaceAll(block(t, "sh", 1), "http://127.0.0.1:27467", b.api)
	r := wantOK(t, run(t, nil, "sh", "-c", command))
	if err := decodeAnswer([]byte(r.stdout), nil); err != nil {
		t.Fatal(err)
	}
	b.warm0(t).restIs(b.full[:len(b.full)-512], fin)
	b.warm(t)
}

func TestReadmeGoProgram(t *testing.T) {
	t.Parallel()
	b := newBench(t, pattern(1024))
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(block(t, "go", 0)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "run", file)
	cmd.Dir, cmd.Env = moduleRoot(t), environment("CRIMP_API="+b.api)
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var gone error
	for armed := false; !armed && gone == nil; {
		select {
		case gone = <-done:
			t.Fatalf("it ended before it armed anything (%v): %s", gone, said.String())
		default:
			rule, there := b.rule("web", "half")
			armed = there && rule.Armed
		}
	}
	b.warm0(t).restIs(b.full[:len(b.full)-512], fin)
	if err := <-done; err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	if got, want := shape(said.String()), "armed: cut at body:N%, fin fired on web/N/N"; got != want {
		t.Errorf("it said %q, expected %q", got, want)
	}
	b.eventually("the end of its lease", func() error {
		if _, there := b.rule("web", "half"); there {
			return errNotYet
		}
		return nil
	})
}

// Every method and path that README.md names is there.
func TestReadmeProtocol(t *testing.T) {
	b := serve(t)
	_, list, _ := strings.Cut(readme(t), "Methods: ")
	list, _, _ = strings.Cut(list, ";")
	names := 0
	for _, m := range regexp.MustCompile("`([a-z.|]+)`").FindAllStringSubmatch(list, -1) {
		first, more, _ := strings.Cut(m[1], "|")
		methods := []string{first}
		for _, verb := range strings.Split(more, "|") {
			if object, _, ok := strings.Cut(first, "."); ok && verb != "" {
				methods = append(methods, object+"."+verb)
			}
		}
		for _, method := range methods {
			names++
			p := params{}
			if method == "wait" {
				p["timeout"] = "0s"
			}
			if e, ok := asRPC(b.call(method, p, nil)); ok && e.Code == -32601 {
				t.Errorf("there is no method %s: %v", method, e)
			}
		}
	}
	if names < 23 {
		t.Errorf("README.md names %d methods, expected 23", names)
	}
	for _, path := range []string{"/", "/v1/state", "/v1/schema.json", "/healthz", "/readyz", "/metrics"} {
		resp, err := api.Get(b.api + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 || !strings.Contains(readme(t), path) {
			t.Errorf("GET %s: HTTP %d", path, resp.StatusCode)
		}
	}
}

const startMark, endMark = "<!-- faults: made by \"make docs\", checked by a test -->\n", "<!-- /faults -->"

// The tables of faults in README.md and the catalogue in docs/faults.md come from
// the code's own declarations.
func TestFaultsTable(t *testing.T) {
	catalogue := wantOK(t, crimp(t, nil, "faults", "--markdown")).stdout
	tables, _, ok := strings.Cut(catalogue, "\n## ")
	if !ok {
		t.Fatalf("the catalogue has no sections: %.200s", catalogue)
	}
	generated(t, "docs/faults.md", catalogue)
	generated(t, "README.md", strings.ReplaceAll(tables, "](#", "](docs/faults.md#"))
}

// generated checks what stands between the marks of a document, or puts it there.
func generated(t *testing.T, name, want string) {
	t.Helper()
	file := filepath.Join(moduleRoot(t), name)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), startMark)
	old, after, ok2 := strings.Cut(rest, endMark)
	switch {
	case !ok || !ok2:
		t.Fatalf("%s lacks its marks %q and %q", name, startMark, endMark)
	case old == want:
	case os.Getenv("CRIMP_UPDATE_README") == "":
		t.Errorf("what %s says of faults is old: make docs", name)
	default:
		if err := os.WriteFile(file, []byte(before+startMark+want+endMark+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Each link inside the catalogue leads to one heading.
func TestFaultsLinks(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		headings[m[1]]++
	}
	links := regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(string(text)+readme(t), -1)
	links = append(links, regexp.MustCompile(`\]\(docs/faults\.md#([^)]+)\)`).FindAllStringSubmatch(readme(t), -1)...)
	for _, m := range links {
		if n := headings[m[1]]; n != 1 {
			t.Errorf("#%s leads to %d headings", m[1], n)
		}
	}
	if len(links) < 100 {
		t.Errorf("only %d links", len(links))
	}
}

// What documents point at exists: files, and targets of make.
func TestDocumentsPointSomewhere(t *testing.T) {
	root := moduleRoot(t)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "docs/architecture.md", "docs/faults.md", "docs/capture.md", "CHANGELOG.md"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(string(text), -1) {
			file, _, _ := strings.Cut(m[1], "#")
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), file)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, m := range regexp.MustCompile("`make (\\w+)[` ]|(?m:^make (\\w+))").FindAllStringSubmatch(string(text), -1) {
			if target := m[1] + m[2]; !strings.Contains(string(makefile), "\n"+target+":") {
				t.Errorf("%s: there is no make %s", name, target)
			}
		}
		for _, m := range regexp.MustCompile("`((?:faults|middlebox|control|web|cmd)/[a-z0-9_/.]+)`").FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// CI does what make test does, and nothing else.
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	if err != nil || !strings.Contains(string(ci), "make test") {
		t.Errorf(".ci/run: %v, %s", err, fmt.Sprintf("%.200s", ci))
	}
}
