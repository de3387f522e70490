package main

import (
	"strings"
	"testing"
	"time"
)

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
