package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// What a relay uses, of all its processes: nginx and HAProxy may have several.

// tick is the unit of times in /proc: USER_HZ, 100 a second on every architecture of Linux.
const tick = time.Second / 100

// cpuOf is the processor time, its own and the system's for it, of a process and its children.
func cpuOf(pid int) (time.Duration, error) {
	var sum time.Duration
	err := family(pid, func(pid int) error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return err
		}
		n, err := ticks(text)
		sum += time.Duration(n) * tick
		return err
	})
	return sum, err
}

// ticks reads utime and stime, fields 14 and 15; the name in field 2 may have
// spaces and brackets in it.
func ticks(stat []byte) (int64, error) {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, fmt.Errorf("/proc stat %q has no name", stat)
	}
	fields := bytes.Fields(stat[i+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc stat %q is too short", stat)
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(string(fields[12]), 10, 64)
	return user + system, err
}

// rssOf is the resident memory of a process and its children, in bytes.
func rssOf(pid int) (int64, error) {
	var sum int64
	err := family(pid, func(pid int) error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return err
		}
		n, err := kibibytes(string(text), "VmRSS:")
		sum += n << 10
		return err
	})
	return sum, err
}

// kibibytes reads a line such as "VmRSS:  1234 kB".
func kibibytes(text, key string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, key); found {
			return strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s", key)
}

// family calls f with a process and all below it.
func family(pid int, f func(int) error) error {
	if err := f(pid); err != nil {
		return err
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if os.IsNotExist(err) { // a thread that ended just now
			continue
		}
		if err != nil {
			return err
		}
		for _, word := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				return err
			}
			if err := family(child, f); err != nil {
				return err
			}
		}
	}
	return nil
}
