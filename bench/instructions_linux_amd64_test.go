package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/ipalias/ipalias/internal/netlab"
)

// instructions is what a frame costs, answering alone, for each workload against
// three aliases. Times on a shared machine are too noisy to guard these;
// instructions are the same on each run, and on each machine of a kind.
//
// A change that costs more raises the figure here, and says so in its commit. They
// depend on the compiler a little: a new one may need new figures.
var instructions = map[string]float64{
	"arp":       171,
	"echo-64":   408,
	"echo-1514": 1001,
	"other-mac": 53,
	"no-alias":  121,
}

const (
	slackPercent = 3
	askCounted   = "IPALIAS_COUNT_INSTRUCTIONS" // what a child of the test is to run
)

// TestInstructions counts with valgrind, whose callgrind runs a program instruction
// by instruction: the hardware's own counters are not to be had in most virtual
// machines. The test runs itself, built anew, as a child and counts within Handle alone; two
// children, of which one answers twice as many frames, tell what a frame costs.
func TestInstructions(t *testing.T) {
	if ask := os.Getenv(askCounted); ask != "" {
		runCounted(t, ask)
		return
	}
	netlab.Need(t, "valgrind")
	program := filepath.Join(t.TempDir(), "bench.test")
	// What "go test" runs has no names of functions in it.
	if out, err := exec.Command("go", "test", "-c", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	for name, budget := range instructions {
		t.Run(name, func(t *testing.T) {
			const frames = 100 * BatchSize
			got := float64(counted(t, program, name, 2*frames)-counted(t, program, name, frames)) / frames
			t.Logf("%.1f instructions a frame, the budget is %.1f", got, budget)
			if got > budget*(100+slackPercent)/100 {
				t.Errorf("%.1f instructions a frame, more than %.1f and %d %%", got, budget, slackPercent)
			}
			if got < budget*(100-2*slackPercent)/100 {
				t.Errorf("%.1f instructions a frame, far less than %.1f: write the new figure down", got, budget)
			}
		})
	}
}

var collected = regexp.MustCompile(`Collected : (\d+)`)

// counted gives the instructions of a child.
func counted(t *testing.T, program, workload string, frames int) int {
	t.Helper()
	cmd := exec.Command("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
		"--collect-atstart=no", "--toggle-collect=*Worker*.Handle", program, "-test.run=^TestInstructions$")
	// One thread, no collection, no signals that preempt: the same instructions each time.
	// Without the last valgrind also fails now and then.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1",
		fmt.Sprintf("%s=%s %d", askCounted, workload, frames))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	m := collected.FindSubmatch(out)
	if m == nil || !bytes.Contains(out, []byte("PASS")) {
		t.Fatalf("valgrind wrote:\n%s", out)
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// runCounted is what a child does.
func runCounted(t *testing.T, ask string) {
	var name string
	var frames int
	if _, err := fmt.Sscan(ask, &name, &frames); err != nil {
		t.Fatal(err)
	}
	w, err := FindWorkload(name)
	if err != nil {
		t.Fatal(err)
	}
	l := target(t, Tables[0]).Load(w)
	l.rng = 1 // the same targets each time
	l.Run(4 * BatchSize)
	if answers := l.Run(frames); w.answers && answers != frames {
		t.Errorf("%d answers to %d frames", answers, frames)
	}
}
