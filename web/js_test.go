package web

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The parts of the page that need no browser (client, feed, store, formatters)
// have tests of their own, beside them, run by node.
func TestJavaScript(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal(`the page's modules are tested by node (20 or later) and none is on the PATH: "apt-get install nodejs", "brew install node"`)
	}
	tests, err := filepath.Glob("app/*.test.mjs")
	if err != nil || len(tests) == 0 {
		t.Fatalf("no tests in app/: %v", err)
	}
	modules, err := filepath.Glob("app/*.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range modules {
		if source, _ := os.ReadFile(name); !strings.HasPrefix(string(source), "// @ts-check\n") {
			t.Errorf("%s does not start with // @ts-check: editors then check its JSDoc types", name)
		}
	}
	out, err := exec.Command(node, append([]string{"--test", "--test-reporter=spec"}, tests...)...).CombinedOutput()
	if err != nil {
		t.Errorf("node --test: %v\n%s", err, out)
	}
}
