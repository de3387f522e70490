package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestExamplesRun runs what examples/ promises and compares it with its transcript.
func TestExamplesRun(t *testing.T) {
	for _, tool := range []string{"curl", "python3", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(err)
		}
	}
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	scripts, err := filepath.Glob(filepath.Join(moduleRoot(t), "examples", "*", "run.sh"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, script := range scripts {
		dir := filepath.Dir(script)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(filepath.Join(dir, "transcript.txt"))
			if err != nil {
				t.Fatal(err)
			}
			run := exec.Command("sh", script)
			run.Env = environment("CRIMP=" + program)
			got, err := run.Output()
			if err != nil || string(got) != string(want) {
				t.Errorf("%v, said\n%s\nwant\n%s", err, got, want)
			}
		})
	}
}
