package main

import (
	"fmt"

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/bench/wire"
)

// A goal is what was aimed at beside what was measured.
type goal struct {
	What, Goal, Measured string
	Met                  bool
	Why                  string // not; "" where nothing is known to stop us
}

// A score collects goals. What was not measured is an error: no line of the page
// may be silent about it.
type score struct {
	memory *bench.Report
	wire   *wire.Report
	daemon *wire.DaemonReport
	list   []goal
	err    error
}

const large = 1 << 24

func goals(memory *bench.Report, ends *wire.Report, daemon *wire.DaemonReport) ([]goal, error) {
	s := &score{memory: memory, wire: ends, daemon: daemon}
	s.inMemory()
	s.rates()
	s.trips()
	s.running()
	return s.list, s.err
}

func (s *score) add(what, limit, measured string, met bool, why string) {
	s.list = append(s.list, goal{what, limit, measured, met, why})
}

func (s *score) inMemory() {
	cost := func(what, workload, table string, limit float64, why string) {
		row, err := s.memory.Find(workload, table)
		if err != nil {
			s.err = err
			return
		}
		s.add(what, fmt.Sprintf("%g ns", limit), fmt.Sprintf("%.1f ns (%.1f-%.1f)", row.Net, row.Low, row.High), row.Net <= limit, why)
	}
	const instructions = "the instructions themselves, see the profiles"
	const misses = "misses of the caches and the TLB, see the profiles"
	cost("ARP request to answer, 3 aliases", "arp", "3", 6.7, instructions)
	cost("echo, 64 bytes, verified, 3 aliases", "echo-64", "3", 16.8, instructions)
	cost("echo, 64 bytes, 1 Mi scattered aliases", "echo-64", "1Mi-scattered", 40, misses)
	cost("echo, 64 bytes, a /8", "echo-64", "16Mi-dense", 30, misses)
	cost("echo, 1514 bytes, verified, 3 aliases", "echo-1514", "3", 100, instructions)
	cost("frame for another MAC", "other-mac", "3", 5, instructions)
	allocs := 0.0
	for _, row := range s.memory.Rows {
		allocs = max(allocs, row.Allocs)
	}
	s.add("allocations a frame, any workload", "0", fmt.Sprintf("%g", allocs), allocs == 0, "")
}

// find gives a row of the wire; one that is missing is an error.
func (s *score) find(peer, kind string, aliases uint64) *wire.Row {
	row := s.wire.Find(peer, kind, aliases)
	if row == nil {
		s.err = fmt.Errorf("%s, %s, %d aliases: not measured", peer, kind, aliases)
		return &wire.Row{}
	}
	return row
}

// shielded gives the row of ipalias behind a shield, or that without where there can
// be none.
func (s *score) shielded(kind string, aliases uint64) *wire.Row {
	if row := s.wire.Find("ipalias, shield", kind, aliases); row != nil {
		return row
	}
	return s.find("ipalias", kind, aliases)
}

func times(v wire.Spread) string {
	return fmt.Sprintf("%.2f times (%.2f-%.2f)", v.Median, v.Low, v.High)
}

// rates holds ipalias against others, without a shield and with one.
func (s *score) rates() {
	ratio := func(what, peer, kind string, aliases uint64, limit float64) {
		us, behind, row := s.find("ipalias", kind, aliases), s.shielded(kind, aliases), s.find(peer, kind, aliases)
		text := times(row.Ratio)
		if behind != us {
			text += "; shield " + times(row.ShieldRatio)
		}
		why := "the kernel's send path, see the profiles"
		switch {
		case peer != "kernel":
			why = fmt.Sprintf("this loop answers %.0fK a second here; so many times that is more than the kernel takes from a packet socket on one core", row.Median()/1e3)
		case behind.Limited():
			why = "the kernel's receiving half, on the other core: ipalias answered all it got"
		case us.Limited():
			why += "; without a shield the kernel's receiving half, on the other core: ipalias answered all it got"
		}
		s.add(what, fmt.Sprintf("%g times", limit), text, max(row.Ratio.Median, row.ShieldRatio.Median) >= limit, why)
	}
	ratio("echo replies a second against the kernel's, 3 aliases", "kernel", "echo", 3, 2)
	ratio("ARP replies a second against the kernel's, 3 aliases", "kernel", "arp", 3, 1.2)
	ratio("echo replies a second against the kernel's, a /8", "kernel", "echo", large, 2)
	ratio("ARP replies a second against the kernel's, a /8", "kernel", "arp", large, 1.2)
	ratio("echo replies a second against a mdlayher/packet loop", "mdlayher/packet", "echo", 3, 20)
	ratio("ARP replies a second against a mdlayher/arp loop", "mdlayher/arp", "arp", 3, 20)

	us, behind := s.find("ipalias", "echo", 3), s.shielded("echo", 3)
	s.add("cost of an echo reply, all on one core, over a dropped frame, against the kernel's", "1.0 times",
		times(us.ByKernel)+"; shield "+times(behind.ByKernel), min(us.ByKernel.Median, behind.ByKernel.Median) <= 1,
		"an skb for each answer, two system calls a batch, and the kernel's own look at each frame")

	few, many := s.find("ipalias", "echo", 3), s.find("ipalias", "echo", large)
	v := few.LossFree / max(few.Median(), few.LossFree)
	s.add("loss-free rate against the highest, echo", "0.95", fmt.Sprintf("%.2f (at most %g lost)", v, s.wire.LossBound), v >= 0.95,
		"stalls of the virtual machine and of a shared core, longer than the ring bridges")
	v = many.Median() / few.Median()
	s.add("16 Mi aliases against 3, echo replies a second", "0.9 times", fmt.Sprintf("%.2f times", v), v >= 0.9, "misses of the counters' memory")
}

func (s *score) trips() {
	us, kernel := s.find("ipalias", "echo", 3), s.find("kernel", "echo", 3)
	against := func(what string, limit, ours, theirs float64, why string) {
		s.add(what, fmt.Sprintf("%g times", limit), fmt.Sprintf("%.2f times (%.1f us against %.1f)", ours/theirs, ours, theirs), ours/theirs <= limit, why)
	}
	const away = "the answer comes from another core; the kernel answers on the asker's own, within the system call that asks"
	against("round trip against the kernel's, p50", 1, us.P50, kernel.P50, away)
	against("round trip against the kernel's, p99", 1.5, us.P99, kernel.P99, away)
	s.add("first ping after 20 ms of rest", "40 us", fmt.Sprintf("%.0f us (the kernel %.0f)", us.Rested, kernel.Rested), us.Rested <= 40,
		"waking a sleeping thread of a virtual machine, as the kernel's own answer shows, and Go's way back from a long system call")
}

// running is about the daemon as a program.
func (s *score) running() {
	d := s.daemon
	s.add("CPU at rest", "under 0.1 %", fmt.Sprintf("%.3f %%", d.Idle), d.Idle < 0.1, "")
	s.add("memory, three aliases", "20 MB", fmt.Sprintf("%.1f MB", d.Memory/1e6), d.Memory < 20e6, "")
	s.add("memory of a /8, not used, more than of three", "nothing an address", fmt.Sprintf("%.1f MB", d.Range/1e6), d.Range/large < 0.1, "")
	s.add("memory of 1 Mi scattered, an address not used", "32 bytes", fmt.Sprintf("%.1f bytes", d.PerAddress), d.PerAddress <= 32, "")
	s.add("the same, once asked for, more", "32 bytes", fmt.Sprintf("%.1f bytes", d.PerUsed), d.PerUsed <= 32,
		"the counters' last large page, 2 MiB: where they come to lie decides whether they begin one more")
	time := func(what string, limit float64, v wire.Spread) {
		s.add(what, fmt.Sprintf("%g ms", limit), fmt.Sprintf("%.1f ms (%.1f-%.1f)", v.Median, v.Low, v.High), v.Median < limit, "")
	}
	time("start to first answer, three aliases", 50, d.Start)
	time("start to first answer, 1 Mi scattered from a file", 1000, d.MillionStart)
	time("1 Mi scattered read again, to the last answer", 1000, d.Reload)
	time("one added to 1 Mi, to its first answer", 10, d.Add)
	s.add("requests lost while 20 were added", "0", fmt.Sprintf("%d of %d, the longest took %.0f us (%.0f us without)", d.Lost, d.Asked, d.Longest, d.Undisturbed), d.Lost == 0, "")
}
