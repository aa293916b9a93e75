package difftest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/kernelref"
)

var (
	framesFlag = flag.Int("difftest.frames", 30000, "how many frames to put to the kernel and to the responder")
	seedFlag   = flag.Uint64("difftest.seed", 1, "what the frames depend on")
	failFlag   = flag.Int("difftest.failures", 5, "how many kinds of differences to shrink and show")
	recordFlag = flag.String("difftest.record", "", "append each difference found to this file, as a case with the kernel's answer")
)

// An answerer is what is held against the kernel: it gives the answers to a
// sequence of frames, which it must leave as they are.
type answerer func(now time.Time, frames [][]byte) [][]byte

// A campaign compares the kernel and an answerer over generated frames.
type campaign struct {
	t      *testing.T
	kernel *kernel
	ours   answerer
	rules  kernelref.Rules
	rng    *rand.Rand

	counts   map[string]*count // by group
	found    map[string]bool   // the kinds of differences already shown
	more     int               // differences of kinds already shown
	unstable int               // differences that went away when asked again
}

// A count says what a group of sequences exercised.
type count struct {
	sequences, frames, mutated int
	answered                   int // sequences that the kernel answered
	answers                    map[string]int
}

// batch is how many sequences the kernel is asked at once. Their answers must
// fit into the socket's buffer.
const batch = 64

// run generates so many frames and compares what is answered.
func (c *campaign) run(seed uint64, frames int) {
	c.rng = rand.New(rand.NewPCG(seed, 1))
	c.counts, c.found = map[string]*count{}, map[string]bool{}
	g := framegen.New(framegen.Lab(), seed)
	start := time.Now()
	sent := 0
	for sent < frames && len(c.found) < *failFlag {
		var sequences []framegen.Sequence
		var asked [][][]byte
		for len(sequences) < batch {
			s := g.Next()
			s.Frames = sendable(s.Frames)
			sequences = append(sequences, s)
			asked = append(asked, s.Frames)
			sent += len(s.Frames)
		}
		theirs := c.kernel.ask(asked)
		c.rules.Now = time.Now()
		for i, s := range sequences {
			c.tally(s, theirs[i])
			if diff, ok := c.compare(s.Frames, theirs[i]); !ok {
				c.difference(s, diff)
			}
		}
	}
	took := time.Since(start)
	c.t.Logf("%d frames in %v, %.0f a second; %d kinds of differences, %d more like them, %d did not happen again\n%s",
		sent, took.Round(time.Millisecond), float64(sent)/took.Seconds(), len(c.found), c.more, c.unstable, c.table())
}

// sendable cuts frames to what the cable carries and leaves out what the
// kernel's own packet socket refuses to send.
func sendable(frames [][]byte) [][]byte {
	var list [][]byte
	for _, f := range frames {
		if len(f) >= 14 {
			list = append(list, f[:min(len(f), maxFrame)])
		}
	}
	return list
}

func (c *campaign) compare(frames, theirs [][]byte) (string, bool) {
	return kernelref.Compare(theirs, c.ours(c.rules.Now, frames), frames, nil, c.rules)
}

// askAgain asks both once more, with identifications that nothing is kept of.
func (c *campaign) askAgain(frames [][]byte) (again, theirs [][]byte, diff string, ok bool) {
	again = framegen.Renumber(frames, uint16(c.rng.Uint32()))
	theirs = c.kernel.ask([][][]byte{again})[0]
	c.rules.Now = time.Now()
	diff, ok = c.compare(again, theirs)
	return again, theirs, diff, ok
}

// difference makes the smallest sequence that shows one, and reports it. Of each
// kind only the first is.
func (c *campaign) difference(s framegen.Sequence, diff string) {
	name := s.Group + ": " + kind(diff)
	if c.found[name] {
		c.more++
		return
	}
	if _, _, _, ok := c.askAgain(s.Frames); ok {
		if c.unstable++; c.unstable <= 3 {
			c.t.Logf("did not happen again: %s: %s\n%s", s.Group, diff, show(s.Frames))
		}
		return
	}
	c.found[name] = true
	fails := func(frames [][]byte) bool {
		frames = sendable(frames)
		if len(frames) == 0 {
			return false
		}
		_, _, d, ok := c.askAgain(frames)
		return !ok && kind(d) == kind(diff)
	}
	const tries = 2000
	small := framegen.Shrink(s.Frames, tries, fails)
	again, theirs, smallDiff, ok := c.askAgain(small)
	if ok || kind(smallDiff) != kind(diff) { // it was no more than chance that it shrank
		again, theirs, smallDiff, _ = c.askAgain(s.Frames)
	}
	c.t.Errorf("%s (seed %d): %s\nasked:\n%s", s.Group, *seedFlag, smallDiff, show(again))
	c.record(kernelref.Case{Group: s.Group, Name: kind(diff), In: again, Out: theirs})
}

// kind is what two differences of one cause have in common: the text without
// the frames and without numbers.
func kind(diff string) string {
	line, _, _ := strings.Cut(diff, "\n")
	return numbers.ReplaceAllString(line, "#")
}

var numbers = regexp.MustCompile("(0x[0-9a-f]+|[0-9]+)")

func show(frames [][]byte) string {
	var s strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&s, "        %s\n", kernelref.Describe(f))
	}
	return s.String()
}

func (c *campaign) record(found kernelref.Case) {
	if *recordFlag == "" {
		return
	}
	f, err := os.OpenFile(*recordFlag, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	for _, o := range found.Out { // the mask is that of one asking: nothing is known to vary
		found.Mask = append(found.Mask, make([]byte, len(o)))
	}
	if err := kernelref.Write(f, found); err != nil {
		c.t.Fatal(err)
	}
}

func (c *campaign) tally(s framegen.Sequence, theirs [][]byte) {
	n := c.counts[s.Group]
	if n == nil {
		n = &count{answers: map[string]int{}}
		c.counts[s.Group] = n
	}
	n.sequences++
	n.frames += len(s.Frames)
	if s.Mutated {
		n.mutated++
	}
	if len(theirs) > 0 {
		n.answered++
	}
	for _, f := range theirs {
		n.answers[kernelref.Kind(f)]++
	}
}

// table shows what was tried, so that it can be seen that it was.
func (c *campaign) table() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%-10s %9s %9s %9s %9s  the kernel's answers\n", "group", "sequences", "frames", "mutated", "answered")
	for _, name := range framegen.Groups() {
		n := c.counts[name]
		if n == nil {
			continue
		}
		fmt.Fprintf(&s, "%-10s %9d %9d %9d %9d ", name, n.sequences, n.frames, n.mutated, n.answered)
		var kinds []string
		for k, v := range n.answers {
			kinds = append(kinds, fmt.Sprintf(" %s %d", k, v))
		}
		slices.Sort(kinds)
		fmt.Fprintln(&s, strings.Join(kinds, ","))
	}
	return s.String()
}

// enough fails the test if it compared so few answers that it proved little.
func (c *campaign) enough() {
	for _, name := range framegen.Groups() {
		if n := c.counts[name]; n == nil || n.answered*10 < n.sequences {
			c.t.Errorf("group %s: too few answers to compare", name)
		}
	}
}
