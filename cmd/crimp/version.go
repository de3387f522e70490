package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"
)

// Build is what the binary knows of its own making; it needs no linker flags,
// so it is right after a plain `go install` too.
type Build struct {
	Version  string `json:"version"`            // module version, or "devel"
	Revision string `json:"revision,omitempty"` // of the version control system
	Time     string `json:"time,omitempty"`     // of that revision, RFC 3339
	Dirty    bool   `json:"dirty"`              // built from a changed tree
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func build() Build {
	b := Build{Version: "devel", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Dirty = s.Value == "true"
		}
	}
	return b
}

// String is the version on one line.
func (b Build) String() string {
	var s strings.Builder
	s.WriteString(b.Version)
	if b.Revision != "" {
		fmt.Fprintf(&s, " (%.12s", b.Revision)
		if b.Time != "" {
			s.WriteString(" of " + b.Time)
		}
		if b.Dirty {
			s.WriteString(", changed")
		}
		s.WriteString(")")
	}
	fmt.Fprintf(&s, " %s %s/%s", b.Go, b.OS, b.Arch)
	return s.String()
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Category: groupKnow, Usage: "which build this is",
		Description: describe(`
Says the module version, the revision it was built from and the Go release.`,
			"crimp version",
			"crimp version --json",
			"crimp version --json | jq -r .revision"),
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			if c.Bool("json") {
				return printJSON(c.App.Writer, build())
			}
			_, err := fmt.Fprintln(c.App.Writer, "crimp", build())
			return err
		},
	}
}
