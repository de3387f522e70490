package e2e

import (
	"debug/elf"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The image is not built here (that needs an engine and a base image), but every
// line of the Dockerfile that can be wrong on its own is tried.

func dockerfile(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	var lines []string
	for _, line := range strings.Split(joined, "\n") {
		if line = strings.Join(strings.Fields(line), " "); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// instruction returns the rest of the last line that starts so.
func instruction(t *testing.T, name string) string {
	t.Helper()
	found := ""
	for _, line := range dockerfile(t) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			found = rest
		}
	}
	if found == "" {
		t.Fatalf("the Dockerfile has no %s", name)
	}
	return found
}

func TestImageHasTwoStagesAndNoRoot(t *testing.T) {
	var from []string
	for _, line := range dockerfile(t) {
		if rest, ok := strings.CutPrefix(line, "FROM "); ok {
			from = append(from, rest)
		}
	}
	if len(from) != 2 || from[1] != "scratch" {
		t.Errorf("stages %q, expected two, the last from scratch", from)
	}
	mod, err := os.ReadFile(filepath.Join(moduleRoot(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(mod))
	if len(from) > 0 && from[0] != "golang:"+version[1]+" AS build" {
		t.Errorf("built with %q, go.mod says %s", from[0], version[1])
	}
	if user := instruction(t, "USER"); !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("USER %s, expected numbers other than 0", user)
	}
	if ports := instruction(t, "EXPOSE"); ports != "27467 8080" {
		t.Errorf("EXPOSE %s, expected the control port and the demo's", ports)
	}
}

func TestImageBuildCommandMakesAStaticBinary(t *testing.T) {
	t.Parallel()
	command := instruction(t, "RUN")
	out := filepath.Join(t.TempDir(), "crimp")
	if !strings.Contains(command, " -o /crimp ") {
		t.Fatalf("RUN %s, expected -o /crimp", command)
	}
	cmd := exec.Command("sh", "-c", strings.Replace(command, " -o /crimp ", " -o "+out+" ", 1))
	cmd.Dir, cmd.Env = moduleRoot(t), environment()
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, said)
	}
	f, err := elf.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("needs %v (%v), expected a static binary", libraries, err)
	}
	wantOK(t, run(t, nil, out, "version"))
}

func TestImageChecksItsOwnHealth(t *testing.T) {
	health := instruction(t, "HEALTHCHECK")
	var words []string
	if err := json.Unmarshal([]byte(health[strings.Index(health, "["):]), &words); err != nil || words[0] != "/crimp" {
		t.Fatalf("HEALTHCHECK %s: %v", health, err)
	}
	wantOK(t, crimp(t, serve(t), words[1:]...))
	// A control port that others can reach has a token, which the check is not told.
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret-s3cret-s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := serve(t, "--control", "0.0.0.0:0", "--token-file", token)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(open.api, "http://"))
	wantOK(t, run(t, []string{"CRIMP_API=http://127.0.0.1:" + port}, program, words[1:]...))
	if got := run(t, []string{"CRIMP_API=http://" + freeAddr(t)}, program, words[1:]...); got.code == 0 {
		t.Error("healthy without a box")
	}
	var command []string
	if err := json.Unmarshal([]byte(instruction(t, "CMD")), &command); err != nil || command[0] != "serve" {
		t.Errorf("CMD %v (%v), expected serve", command, err)
	}
	// What the image copies must not be ignored.
	ignore, err := os.ReadFile(filepath.Join(moduleRoot(t), ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(moduleRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		holdsGo, _ := filepath.Glob(filepath.Join(moduleRoot(t), e.Name(), "*.go"))
		deeper, _ := filepath.Glob(filepath.Join(moduleRoot(t), e.Name(), "*", "*.go"))
		if len(holdsGo)+len(deeper) > 0 && !strings.Contains(string(ignore), "\n!"+e.Name()+"\n") && e.Name() != "examples" {
			t.Errorf(".dockerignore keeps %s out", e.Name())
		}
	}
}
