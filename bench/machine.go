package bench

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Only figures of one machine and one hour compare. So every report says where it was measured,
// and how busy the machine was: nobody remembers later.

// Machine says where something was measured.
type Machine struct {
	CPU    string  `json:"cpu"` // "" where the system does not tell
	MHz    float64 `json:"mhz"` // its nominal clock; 0: not known
	Cores  int     `json:"cores"`
	System string  `json:"system"`
	Go     string  `json:"go"`
	Load   string  `json:"load"` // the load average of the minute before; "" where the system does not tell
}

// ThisMachine asks the system, as far as it can be asked (Linux: /proc).
func ThisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	// What can't be read is left out: a report without it is better than none.
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System += " " + strings.TrimSpace(string(release))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(load), " ")
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(info)) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "model name":
			m.CPU = value
		case "cpu MHz":
			// The highest of all cores: an idle one may have been slowed down.
			if mhz, err := strconv.ParseFloat(value, 64); err == nil {
				m.MHz = max(m.MHz, mhz)
			}
		}
	}
	return m
}
