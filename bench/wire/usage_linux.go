package wire

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What a process takes, by /proc: RSS as ps shows it would count the kernel's rings and shared pages
// as the daemon's, and times in ticks would be zero.

// memory is RssAnon and RssShmem of a process, in bytes.
// RssFile is left out: the program's own pages, which others may share, and the rings of
// packet sockets, which the kernel counts there.
func memory(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	kilobytes := 0.0
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if key != "RssAnon" && key != "RssShmem" {
			continue
		}
		n, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
		if err != nil {
			return 0, fmt.Errorf("read memory: %w", err)
		}
		kilobytes += n
	}
	return kilobytes * 1024, nil
}

// cpuTime is what all threads of a process have run.
// /proc/PID/schedstat has the main thread's alone: so all threads are added up.
func cpuTime(pid int) (time.Duration, error) {
	// A thread that ended in between takes its time with it. At rest none does.
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, errors.Join(err, os.ErrNotExist))
	}
	var sum time.Duration
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		// The first of three: time on a processor, in nanoseconds (Documentation/scheduler/sched-stats).
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}
