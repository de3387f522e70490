package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test be the plain relay, as the program is.
func TestMain(m *testing.M) {
	fail(runAsCopy())
	os.Exit(m.Run())
}

func TestMedianOfRounds(t *testing.T) {
	base := &row{relay: "base", samples: map[int]sample{0: {cpu: 1}, 1: {cpu: 2}, 2: {cpu: 10}}}
	// A round in which the machine was busy makes both slow: its ratio still counts for what it is.
	r := &row{relay: "other", samples: map[int]sample{0: {cpu: 0.5}, 1: {cpu: 1}, 2: {cpu: 9}, 3: {cpu: 1}}}
	if got := r.ratio(base, cpu); got != 0.5 {
		t.Errorf("ratio %v, want 0.5: round 3 has nothing to compare with", got)
	}
	if got := r.median(cpu); got != 1 {
		t.Errorf("median %v, want 1", got)
	}
	if got := median(nil); got != 0 {
		t.Errorf("median of nothing %v", got)
	}
}

func TestProcFiles(t *testing.T) {
	stat := []byte("12 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0")
	if n, err := ticks(stat); n != 175 || err != nil {
		t.Errorf("ticks %d, %v, want 175", n, err)
	}
	if _, err := ticks([]byte("12 (a")); err == nil {
		t.Error("ticks of a broken line: no error")
	}
	if n, err := kibibytes("VmPeak:  9 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"); n != 1234 || err != nil {
		t.Errorf("kibibytes %d, %v, want 1234", n, err)
	}
}

func TestOrigin(t *testing.T) {
	o, err := serveOrigin()
	if err != nil {
		t.Fatal(err)
	}
	defer o.stop()
	if err := ping(o.addr); err != nil {
		t.Error(err)
	}
}

func TestReport(t *testing.T) {
	var rs results
	l := loads[0]
	rs.add(l, crimpTCP, 0, sample{cpu: 0.25, rate: 3})
	rs.add(l, haproxyTCP, 0, sample{cpu: 0.5, rate: 2})
	report := rs.report(plan{rounds: 1, window: time.Second})
	for _, want := range []string{
		"| haproxy tcp | 1.00 | 1.00 | 0.50 s | 2 |\n| crimp tcp | 0.50 | 1.50 | 0.25 s | 3 |", "Ratios to haproxy tcp."} {
		if !strings.Contains(report, want) {
			t.Errorf("%q is not in the report:\n%s", want, report)
		}
	}
}

func TestFigures(t *testing.T) {
	const before = "Running 1s test @ http://127.0.0.1:8080/64\n  1 threads and 64 connections\nRequests/sec: 50000.00\n\n"
	for _, c := range []struct{ said, want string }{
		{before + `{"requests":60000,"duration":1200000,"mean":912.500,"p50":850,"p99":2100,"errors":0}` + "\n", "rate 5e+04/s  p50 0.85 ms  p99 2.1 ms"},
		{before + `{"requests":60000,"duration":1200000,"mean":912.500,"p50":850,"p99":2100,"errors":2}`, "wrk counts 2 errors"},
		{before + `{"requests":0,"duration":1200000,"mean":0.000,"p50":0,"p99":0,"errors":0}`, "wrk got no answer"},
		{before, "want its figures in the last line"},
		{"", "want its figures in the last line"},
	} {
		f, err := readFigures([]byte(c.said))
		got := f.sample(300 * time.Millisecond).String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("of %q: %q, want %q", c.said, got, c.want)
		}
	}
	f, err := readFigures([]byte(`{"requests":60000,"duration":1200000,"mean":912.5,"p50":850,"p99":2100}`))
	s := f.sample(300 * time.Millisecond)
	if got := duration(s.cpu) + " " + millis(s.mean); got != "5.0 us 0.91" || err != nil {
		t.Errorf("cpu and mean %s, %v, want 5.0 us 0.91", got, err)
	}
}

// A relay with nginx behind it, over real sockets: what wrk will ask for is there.
func TestNginxOrigin(t *testing.T) {
	r, err := startRelay(t.TempDir(), plainCopy, &plan{}, load{nginx: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.stop()
	for _, l := range loads {
		if !l.nginx {
			continue
		}
		answer, err := http.Get("http://" + r.addr + "/" + strconv.FormatInt(l.size, 10))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != 200 || answer.Close || !bytes.Equal(body, filler[:l.size]) {
			t.Errorf("%s is answered with %s, close %v, %d bytes, %v, want 200, to persist, and %d",
				l.name, answer.Status, answer.Close, len(body), err, l.size)
		}
	}
	if _, err := cpuOf(r.cmd.Process.Pid); err != nil {
		t.Error(err)
	}
}
