package main

import (
	"debug/buildinfo"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

// Toxiproxy is what crimp is compared to first. It takes its proxies from a file and
// its toxics by HTTP.
const (
	toxiproxy       = "toxiproxy"
	toxiproxySlicer = "toxiproxy slicer 1 KiB"
)

func toxiproxyConf(listen, upstream string) string {
	return fmt.Sprintf(`[{"name": "web", "listen": %q, "upstream": %q, "enabled": true}]`, listen, upstream)
}

func toxiproxyCommand(program, api, file string) (*exec.Cmd, error) {
	host, port, err := net.SplitHostPort(api)
	cmd := exec.Command(program, "-host", host, "-port", port, "-config", file)
	cmd.Env = append(cmd.Environ(), "LOG_LEVEL=error")
	return cmd, err
}

// slicer arms that toxic; connections made from now on have it.
func slicer(api string) error {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Post("http://"+api+"/proxies/web/toxics", "application/json", strings.NewReader(
		`{"type": "slicer", "stream": "downstream", "attributes": {"average_size": 1024, "size_variation": 0, "delay": 0}}`))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		why, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return fmt.Errorf("toxiproxy answers %s: %s", answer.Status, why)
	}
	return nil
}

// toxiproxyVersion is that of the module, which the program does not know itself.
func toxiproxyVersion(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "unknown"
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}
