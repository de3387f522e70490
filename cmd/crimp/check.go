package main

import (
	"fmt"

	"github.com/urfave/cli/v2"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name: "check", Category: groupRun, Usage: "validate a configuration without running it",
		ArgsUsage: "FILE",
		Description: describe(`
Reads the file as "serve" would and says all that is wrong with it: file:line:column, the value,
what was expected, and an excerpt. No socket is opened. - is standard input.`,
			"crimp check crimp.yaml", "crimp state --yaml | crimp check -", "crimp check crimp.yaml && kill -HUP $(pidof crimp)"),
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			conf, err := readConfig(c.Args().First())
			if err == nil {
				err = conf.judged()
			}
			if err != nil {
				return err
			}
			rules, armed := 0, 0
			for _, r := range conf.Routes {
				rules += len(r.Rules)
				for _, rule := range r.Rules {
					if rule.Armed {
						armed++
					}
				}
			}
			return say(c, map[string]any{"routes": len(conf.Routes), "rules": rules, "armed": armed},
				fmt.Sprintf("ok: %s, %s, %d armed", plural(int64(len(conf.Routes)), "route"), plural(int64(rules), "rule"), armed))
		},
	}
}
