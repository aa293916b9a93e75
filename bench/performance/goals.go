package main

import (
	"fmt"

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/bench/wire"
)

// A goal is what was aimed at beside what was measured.
type goal struct {
	What, Goal, Measured, Met string
}

const large = 1 << 24

// goals lists all goals. What this program does not measure it says so of.
func goals(memory *bench.Report, ends *wire.Report) []goal {
	var list []goal
	cost := func(what, workload, table string, limit float64) {
		row, err := memory.Find(workload, table)
		if err != nil {
			list = append(list, goal{what, fmt.Sprintf("%g ns", limit), "not measured", "?"})
			return
		}
		list = append(list, goal{what, fmt.Sprintf("%g ns", limit), fmt.Sprintf("%.1f ns (%.1f-%.1f)", row.Net, row.Low, row.High), met(row.Net <= limit)})
	}
	cost("ARP request to answer, 3 aliases", "arp", "3", 6.7)
	cost("echo, 64 bytes, verified, 3 aliases", "echo-64", "3", 16.8)
	cost("echo, 64 bytes, 1 Mi scattered aliases", "echo-64", "1Mi-scattered", 40)
	cost("echo, 64 bytes, a /8", "echo-64", "16Mi-dense", 30)
	cost("echo, 1514 bytes, verified, 3 aliases", "echo-1514", "3", 100)
	cost("frame for another MAC", "other-mac", "3", 5)

	allocs := 0.0
	for _, row := range memory.Rows {
		allocs = max(allocs, row.Allocs)
	}
	list = append(list, goal{"allocations a frame, any workload", "0", fmt.Sprintf("%g", allocs), met(allocs == 0)})

	ratio := func(what, peer, kind string, aliases uint64, limit float64) {
		us, row := ends.Find("ipalias", kind, aliases), ends.Find(peer, kind, aliases)
		text := fmt.Sprintf("%.2f times (%.2f-%.2f)", row.Ratio, row.Low, row.High)
		if us.Limited() {
			text += ", as far as the generator got"
		}
		list = append(list, goal{what, fmt.Sprintf("%g times", limit), text, met(row.Ratio >= limit)})
	}
	ratio("echo replies a second against the kernel's, 3 aliases", "kernel", "echo", 3, 2)
	ratio("ARP replies a second against the kernel's, 3 aliases", "kernel", "arp", 3, 1.2)
	ratio("echo replies a second against the kernel's, a /8", "kernel", "echo", large, 2)
	ratio("ARP replies a second against the kernel's, a /8", "kernel", "arp", large, 1.2)
	ratio("echo replies a second against a mdlayher/packet loop", "mdlayher/packet", "echo", 3, 20)
	ratio("ARP replies a second against a mdlayher/arp loop", "mdlayher/arp", "arp", 3, 20)

	few, many, kernel := ends.Find("ipalias", "echo", 3), ends.Find("ipalias", "echo", large), ends.Find("kernel", "echo", 3)
	number := func(what, limit string, value float64, ok bool) {
		list = append(list, goal{what, limit, fmt.Sprintf("%.2f", value), met(ok)})
	}
	// Two sides of the same session, but not of the same moment: a coarse figure.
	v := few.Cost / kernel.Cost
	what := "cost of an echo reply, all cores together, against the kernel's"
	if few.Limited() {
		what += " (at most: the responder was not busy)"
	}
	number(what, "1.0 times", v, v <= 1)
	v = few.LossFree / few.Median()
	number("loss-free rate against the highest, echo", "0.95", v, v >= 0.95)
	v = few.P50 / kernel.P50
	number("round trip against the kernel's, p50", "1.0 times", v, v <= 1)
	v = few.P99 / kernel.P99
	number("round trip against the kernel's, p99", "1.5 times", v, v <= 1.5)
	number("first ping after 20 ms of rest, us", "40", few.Rested, few.Rested <= 40)
	v = many.Median() / few.Median()
	number("16 Mi aliases against 3, echo replies a second", "0.9 times", v, v >= 0.9)

	for _, g := range [][2]string{
		{"CPU at rest", "under 0.1 %"},
		{"memory an address", "0 in a range, 32 bytes scattered"},
		{"a million addresses loaded / one added", "1 s / 10 ms"},
	} {
		list = append(list, goal{g[0], g[1], "not measured here", "?"})
	}
	return list
}

func met(ok bool) string {
	if ok {
		return "yes"
	}
	return "no"
}
