package capture

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// CPUs lists the processors that the calling thread may run on. Ask before
// anything was pinned: then it is what the process was started with.
func CPUs() (list []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			list = append(list, cpu)
		}
	}
	return list
}

// pin keeps the calling goroutine's thread on one processor until the returned
// function is called: the caches stay warm, and two workers never share a core
// while another idles. Not being allowed to is no error: it goes slower, not wrong.
//
// Threads that the runtime starts meanwhile do not inherit the mask: it clones
// them from a thread that nobody has locked.
func pin(cpu int) (unpin func()) {
	runtime.LockOSThread()
	var before, one unix.CPUSet
	one.Set(cpu)
	if unix.SchedGetaffinity(0, &before) != nil || unix.SchedSetaffinity(0, &one) != nil {
		return runtime.UnlockOSThread
	}
	return func() {
		// A thread that can't go back must not run anybody else: it stays locked, and
		// ends with its goroutine.
		if unix.SchedSetaffinity(0, &before) == nil {
			runtime.UnlockOSThread()
		}
	}
}
