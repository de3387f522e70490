package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"crimp/faults"
)

func TestArrange(t *testing.T) {
	for _, test := range []struct{ name, in, want, tail string }{
		{"flags first", "arm --ttl 5s web cut", "arm --ttl=5s -- web cut", ""},
		{"flags last", "arm web cut --ttl 5s", "arm --ttl=5s -- web cut", ""},
		{"flags between", "arm web --ttl 5s cut --json at=now", "arm --ttl=5s --json -- web cut at=now", ""},
		{"flags before the command", "--api x routes", "routes --api=x --", ""},
		{"a switch takes no value", "rules --armed", "rules --armed --", ""},
		{"a value may begin with a dash", "rules --rule -x", "rules --rule=-x --", ""},
		{"a value may be joined", "rules --limit=3", "rules --limit=3 --", ""},
		{"short flags", "serve -c f.yaml", "serve -c=f.yaml --", ""},
		{"a command to run is kept whole", "arm web cut -- curl -s --json", "arm -- web cut", "curl -s --json"},
		{"for other commands -- only ends flags", "disarm web -- --odd", "disarm -- web --odd", ""},
		{"subcommands", "route --why x rm web", "route rm --why=x -- web", ""},
		{"help of a command", "help arm", "arm --help", ""},
		{"help of a command's command", "route add --help", "route add --help", ""},
		{"help wins over what is missing", "arm --help --ttl 3s", "arm --help", ""},
		{"a lone dash is an argument", "check -", "check -- -", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, tail, err := arrange(newApp(io.Discard, io.Discard), append([]string{"crimp"}, strings.Fields(test.in)...))
			if err != nil {
				t.Fatal(err)
			}
			if want := append([]string{"crimp"}, strings.Fields(test.want)...); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			if !slices.Equal(tail, strings.Fields(test.tail)) {
				t.Errorf("tail %q, want %q", tail, test.tail)
			}
		})
	}
}

func TestArrangeRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"rutes":                      `crimp: unknown command "rutes"; did you mean "routes"?`,
		"zzzzzz":                     `crimp: unknown command "zzzzzz"; see crimp --help`,
		"route ad x":                 `crimp route: unknown command "ad"; did you mean "add"?`,
		"route":                      `crimp route: needs one of its commands, add or rm; see crimp route --help`,
		"rules --armd":               `crimp rules: unknown flag --armd; did you mean "--armed"?`,
		"routes --armed":             `crimp routes: unknown flag --armed; see crimp routes --help`,
		"rules --limit":              `--limit needs a value`,
		"arm web cut --ttl -- curl":  `--ttl needs a value`,
		"version --nosuch=1 --limit": `--limit needs a value`,
	} {
		_, _, err := arrange(newApp(io.Discard, io.Discard), append([]string{"crimp"}, strings.Fields(in)...))
		if err == nil || err.Error() != want || exitCode(err) != exitUsage {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

// everyCommand calls f with each command that can be run, and its full name.
func everyCommand(app *cli.App, f func(name string, c *cli.Command)) {
	var walk func(prefix string, commands []*cli.Command)
	walk = func(prefix string, commands []*cli.Command) {
		for _, c := range commands {
			f(prefix+c.Name, c)
			walk(prefix+c.Name+" ", c.Subcommands)
		}
	}
	walk("crimp ", app.Commands)
}

// A flag may come before its command, so it must take a value in all of them or
// in none.
func TestFlagsMeanTheSameEverywhere(t *testing.T) {
	app := newApp(io.Discard, io.Discard)
	takes := valueFlags(app)
	everyCommand(app, func(name string, c *cli.Command) {
		for _, f := range c.Flags {
			for _, n := range f.Names() {
				if f.(cli.DocGenerationFlag).TakesValue() != takes[n] {
					t.Errorf("%s: --%s takes a value in one command and none in another", name, n)
				}
			}
		}
	})
}

// Every command has a sentence, three examples that read as that command does,
// and a group for each flag.
func TestHelpIsWhole(t *testing.T) {
	app := newApp(io.Discard, io.Discard)
	everyCommand(app, func(name string, c *cli.Command) {
		if c.Usage == "" {
			t.Errorf("%s: no usage", name)
		}
		_, text, _ := strings.Cut(c.Description, "\n\nExamples\n")
		examples := strings.Split(text, "\n")
		if len(examples) < 3 {
			t.Errorf("%s: %d examples", name, len(examples))
		}
		for _, e := range examples {
			if err := parsesAs(e); err != nil {
				t.Errorf("%s: %s: %v", name, e, err)
			}
		}
		for _, f := range c.Flags {
			if f.(cli.CategorizableFlag).GetCategory() == "" || f.(cli.DocGenerationFlag).GetUsage() == "" {
				t.Errorf("%s: --%s has no group or no usage", name, f.Names()[0])
			}
		}
	})
}

// Help is read in a terminal beside something else.
func TestHelpIsNarrow(t *testing.T) {
	narrow := func(command string) {
		var out strings.Builder
		if code := run(strings.Fields(command), &out, io.Discard); code != 0 {
			t.Errorf("%s: exit %d", command, code)
		}
		text, _, _ := strings.Cut(out.String(), "\nExample: ") // what follows is to be typed
		if n := strings.Count(text, "\n"); n < 5 {
			t.Errorf("%s has %d lines", command, n)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > helpWidth {
				t.Errorf("%s: over %d columns: %s", command, helpWidth, line)
			}
		}
	}
	narrow("crimp --help")
	everyCommand(newApp(io.Discard, io.Discard), func(name string, _ *cli.Command) { narrow(name + " --help") })
	for _, f := range faults.Catalogue() {
		if f.PresetOf == nil { // a preset's default may be a whole message
			narrow("crimp faults " + f.Name)
		}
	}
}

// A word that is wider than the line has one for itself; nothing is lost.
func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"":              "",
		"a":             "a",
		"abc de f":      "abc|de f",
		"abcdefgh i":    "abcdefgh|i",
		"a bcdefgh i j": "a|bcdefgh|i j",
		"äöü äö ü":      "äöü|äö ü",
		"ab cd":         "ab cd",
	} {
		if got := fold(strings.Fields(text), 5, "|"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// What could not be written, as on a full disk, is told: a part is not the whole.
func TestOutputThatFails(t *testing.T) {
	for _, words := range []string{"crimp --help", "crimp arm --help", "crimp faults", "crimp faults cut", "crimp faults --json", "crimp version"} {
		var told strings.Builder
		out := &disk{room: 20}
		if code := run(strings.Fields(words), out, &told); code != exitFailed || told.String() != errFull.Error()+"\n" {
			t.Errorf("%s: exit %d, %q", words, code, told.String())
		}
	}
}

var errFull = errors.New("no space left")

// disk is a file for which there is so much room.
type disk struct{ room int }

func (d *disk) Write(b []byte) (int, error) {
	n := min(len(b), d.room)
	if d.room -= n; n < len(b) {
		return n, errFull
	}
	return n, nil
}

// The file that the help of serve shows is one that it takes.
func TestConfigExample(t *testing.T) {
	if conf, err := judge([]byte(configExample)); err != nil || len(conf.Routes) != 1 || len(conf.Routes[0].Rules) != 1 {
		t.Errorf("%+v, %v", conf, err)
	}
}

// parsesAs arranges the first crimp command of a shell line.
func parsesAs(line string) error {
	line = strings.TrimSpace(line)
	if i := strings.Index(line, "crimp "); i > 0 {
		line = line[i:]
	}
	words := strings.Fields(line)
	if i := slices.IndexFunc(words, func(w string) bool { return w == "|" || w == "&&" || w == ">" }); i >= 0 {
		words = words[:i]
	}
	_, _, err := arrange(newApp(io.Discard, io.Discard), words)
	return err
}
