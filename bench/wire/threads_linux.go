package wire

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The machine is shared, and has two cores. What can be done about that: who sends and who answers
// have a core each, all of it goes before what else runs, and every comparison is within a round.

// The cores of generator and responder, among those that the process may use.
const (
	generatorCore = 0
	responderCore = 1
)

// cores gives one core of those in allowed, or all but that one.
func cores(allowed unix.CPUSet, which int, others bool) (set unix.CPUSet) {
	for cpu, seen := 0, 0; seen < allowed.Count(); cpu++ {
		if !allowed.IsSet(cpu) {
			continue
		}
		if (seen == which) != others {
			set.Set(cpu)
		}
		seen++
	}
	return set
}

// pin keeps the calling thread on a core until unpin is called. Where there is only
// one, or pinning is not permitted, things go slower, not wrong.
// The calling goroutine must be locked to its thread.
func pin(core int) (unpin func()) {
	var had unix.CPUSet
	if unix.SchedGetaffinity(0, &had) != nil || allowed.Count() < 2 {
		return func() {}
	}
	set := cores(allowed, core, false)
	unix.SchedSetaffinity(0, &set)
	return func() { unix.SchedSetaffinity(0, &had) }
}

// widen lets the calling goroutine, on a thread of its own, start programs that may
// use all cores.
func widen() (undo func()) {
	runtime.LockOSThread()
	var had unix.CPUSet
	if unix.SchedGetaffinity(0, &had) == nil {
		unix.SchedSetaffinity(0, &allowed)
	}
	return func() {
		unix.SchedSetaffinity(0, &had)
		runtime.UnlockOSThread()
	}
}

// allowed are the cores that the process started with.
var allowed = func() (set unix.CPUSet) {
	unix.SchedGetaffinity(0, &set)
	return set
}()

// settle keeps all threads of the process, and so those that they start, off the
// generator's core: a peer that ran there would be slowed down by the
// generator, and slow it down. And it puts them before whatever else
// the machine has to do.
func settle() (undo func(), err error) {
	// With one core alone everything shares it: figures then are of little use, and there is no error.
	others := allowed
	if allowed.Count() > 1 {
		others = cores(allowed, generatorCore, true)
	}
	had, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return nil, fmt.Errorf("read priority: %w", err)
	}
	// Nice and not real-time: with SCHED_FIFO the kernel's ksoftirqd got no turn on the generator's
	// core, and a program that answers not one frame.
	if err := setThreads(&others, -20); err != nil {
		return nil, err
	}
	calm := autogroup("-20")
	// Go would follow the threads onto fewer cores, and have generator and responder
	// wait for each other.
	procs := runtime.GOMAXPROCS(allowed.Count() + 1)
	return func() {
		runtime.GOMAXPROCS(procs)
		autogroup(calm)
		setThreads(&allowed, 20-had) // the system call counts from 40 to 1
	}, nil
}

// autogroup gives the session another priority, and tells what it had. Where the
// kernel shares the processors out by session (CONFIG_SCHED_AUTOGROUP), one's
// own priority holds only within it. A kernel without has no such file.
func autogroup(nice string) (had string) {
	const name = "/proc/self/autogroup"
	text, err := os.ReadFile(name) // "/autogroup-25 nice 0"
	if err != nil || nice == "" {
		return ""
	}
	if words := strings.Fields(string(text)); len(words) == 3 {
		had = words[2]
	}
	os.WriteFile(name, []byte(nice), 0) // without it, others disturb more
	return had
}

// setThreads moves all threads of the process to some cores, and gives them a
// priority. Twice, since a thread that had not had its turn may have started
// another meanwhile.
func setThreads(set *unix.CPUSet, nice int) error {
	for range 2 {
		list, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		for _, e := range list {
			id, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			err = unix.SchedSetaffinity(id, set)
			if err == nil {
				err = unix.Setpriority(unix.PRIO_PROCESS, id, nice)
			}
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("settle thread %d: %w", id, err)
			}
		}
	}
	return nil
}
