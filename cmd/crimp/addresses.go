package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"
)

func addrFileFlag() cli.Flag {
	return &cli.StringFlag{Name: "addr-file", Category: groupServe, Usage: "once ready, write the resolved addresses to this `FILE` as {control, routes}", EnvVars: []string{"CRIMP_ADDR_FILE"}}
}

// addresses is what --addr-file tells.
type addresses struct {
	Control string            `json:"control"`
	Routes  map[string]string `json:"routes"`
}

func (in *instance) addresses() addresses {
	a := addresses{Control: in.listener.Addr().String(), Routes: map[string]string{}}
	for _, r := range in.box.State().Routes {
		a.Routes[r.Name] = r.Listen
	}
	return a
}

// startTelling starts a box that tells its addresses, if --addr-file asks for it.
func startTelling(c *cli.Context, begin func() (*instance, error)) (*instance, error) {
	file := c.String("addr-file")
	if file == "" {
		return begin()
	}
	if err := clearAddresses(file); err != nil {
		return nil, codef(exitStart, "--addr-file: %s: %v", file, err)
	}
	in, err := begin()
	if err != nil {
		return nil, err
	}
	if err := writeAddresses(file, in.addresses()); err != nil {
		in.kill()
		return nil, codef(exitStart, "--addr-file: %s: %v", file, err)
	}
	return in, nil
}

// clearAddresses removes the file of an earlier run, which would tell a waiting script
// wrong addresses. What else may stand there, a device or a folder, is left alone.
func clearAddresses(file string) error {
	at, err := os.Stat(file)
	if err == nil && !at.Mode().IsRegular() {
		return errors.New("something else than a file is there")
	}
	if err == nil {
		err = os.Remove(file)
	}
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(filepath.Dir(file)) // said before a box has started
	}
	return bare(err)
}

// writeAddresses replaces the file as a whole: a reader sees all of it or none.
func writeAddresses(file string, a addresses) error {
	raw, err := json.Marshal(a)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".crimp-*")
	if err != nil {
		return bare(err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append(raw, '\n'))
	if err := errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}

// bare is what was wrong with a file, without its name.
func bare(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
