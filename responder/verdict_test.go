package responder_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ipalias/ipalias/responder"
)

var update = flag.Bool("update", false, "write testdata/verdicts.golden and docs/verdicts.md anew")

// TestVerdicts puts the frames of verdictCases and compares everything that can
// be seen: verdict, answers, what lies beside the frame, every counter.
func TestVerdicts(t *testing.T) {
	for _, c := range verdictCases() {
		t.Run(fmt.Sprintf("%v %s", c.verdict, c.note), func(t *testing.T) { checkVerdict(t, &c) })
	}
}

func checkVerdict(t *testing.T, c *verdictCase) {
	var with []func(*responder.Interface)
	if c.with != nil {
		with = append(with, c.with)
	}
	r := newResponder(t, with...)
	frames, guard := c.batch()
	flags := append(make([]uint8, len(c.before)), c.flags)
	rx := c.rxBytes()
	out, _ := r.Worker(0).Handle(noon, frames, flags, nil)
	verdicts := r.Worker(0).Verdicts()
	if got := verdicts[len(verdicts)-1]; got != c.verdict {
		t.Errorf("verdict %v, want %v", got, c.verdict)
	}
	guard(t)
	if len(c.before) == 0 {
		checkAnswers(t, out, c.want)
	} else if len(c.want) > 0 {
		checkAnswers(t, out[max(0, len(out)-len(c.want)):], c.want)
	}
	if sent := len(out) > 0; len(c.before) == 0 && sent != (c.verdict.Answered() || c.asksARP) {
		t.Errorf("%d answers, but Answered is %v", len(out), c.verdict.Answered())
	}
	checkCounts(t, r, c, verdicts, out, rx)
}

// batch lays the frames of c into one buffer with slack around each. guard tells
// whether the slack is still there.
func (c *verdictCase) batch() (frames [][]byte, guard func(*testing.T)) {
	const margin = 96
	all := append(append([][]byte{}, c.before...), c.frame)
	size := margin
	for _, f := range all {
		size += len(f) + margin
	}
	buf := bytes.Repeat([]byte{slack}, size)
	at := margin
	for _, f := range all {
		copy(buf[at:], f)
		frames = append(frames, buf[at:at+len(f)]) // its capacity reaches over the others
		at += len(f) + margin
	}
	return frames, func(t *testing.T) {
		t.Helper()
		gap, at := bytes.Repeat([]byte{slack}, margin), 0
		for i := 0; i <= len(all); i++ {
			if !bytes.Equal(buf[at:at+margin], gap) {
				t.Errorf("bytes before frame %d were written: %x", i, buf[at:at+margin])
			}
			if i < len(all) {
				at += margin + len(all[i])
			}
		}
	}
}

// rxBytes is how many bytes the frames of c have.
func (c *verdictCase) rxBytes() (n uint64) {
	for _, f := range append(c.before[:len(c.before):len(c.before)], c.frame) {
		n += uint64(len(f))
	}
	return n
}

// checkCounts holds the counters against what was put and what came out.
func checkCounts(t *testing.T, r *responder.Responder, c *verdictCase, verdicts []responder.Verdict, out [][]byte, rxBytes uint64) {
	t.Helper()
	var want [responder.NumVerdicts]uint64
	for _, v := range verdicts {
		want[v]++
	}
	name, other := "v0", ""
	if c.stray {
		name, other = other, name
	}
	if got := r.VerdictCounts(name); got != want {
		t.Errorf("verdict counters of %q: %v, want %v", name, got, want)
	}
	if got := r.VerdictCounts(other); got != [responder.NumVerdicts]uint64{} {
		t.Errorf("verdict counters of %q: %v, want none", other, got)
	}
	var expect responder.Counters
	if c.counted.IsValid() {
		expect = responder.Counters{RxPackets: uint64(len(verdicts)), RxBytes: rxBytes}
	}
	for _, o := range out {
		if be16(o[12:]) == 0x0806 && c.asksARP {
			continue
		}
		expect.TxPackets++
		expect.TxBytes += uint64(len(o))
	}
	used := map[netip.Addr]responder.Counters{}
	r.Used("v0", func(a netip.Addr, _ string, c responder.Counters) bool { used[a] = c; return true })
	if used[c.counted] != expect {
		t.Errorf("counters of %v: %+v, want %+v", c.counted, used[c.counted], expect)
	}
	if total := r.Total("v0"); total != expect {
		t.Errorf("total %+v, want %+v", total, expect)
	}
	if len(used) > 1 {
		t.Errorf("more than one alias counted: %v", used)
	}
}

// TestEveryVerdictHasAFrame keeps verdictCases complete.
func TestEveryVerdictHasAFrame(t *testing.T) {
	seen := map[responder.Verdict]bool{}
	for _, c := range verdictCases() {
		seen[c.verdict] = true
	}
	for v := range responder.Verdict(responder.NumVerdicts) {
		if !seen[v] {
			t.Errorf("no frame ends as %v", v)
		}
	}
}

// TestVerdictNames: names are how people and their dashboards know a verdict.
func TestVerdictNames(t *testing.T) {
	kebab := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	var names strings.Builder
	for v := range responder.Verdict(responder.NumVerdicts) {
		name := v.String()
		if !kebab.MatchString(name) {
			t.Errorf("verdict %d: the name %q is not in kebab case", v, name)
		}
		if seen[name] {
			t.Errorf("verdict %d: the name %q is taken", v, name)
		}
		seen[name] = true
		if back, ok := responder.ParseVerdict(name); !ok || back != v {
			t.Errorf("ParseVerdict(%q) = %v, %v", name, back, ok)
		}
		if help := v.Help(); !strings.HasSuffix(help, ".") || strings.Contains(help, "|") {
			t.Errorf("verdict %s: %q is no sentence that fits a table", name, help)
		}
		fmt.Fprintln(&names, name)
	}
	golden(t, "testdata/verdicts.golden", names.String())
	if _, ok := responder.ParseVerdict("no-such-verdict"); ok {
		t.Error("ParseVerdict knows a verdict that is none")
	}
	if name := responder.Verdict(responder.NumVerdicts).String(); seen[name] {
		t.Errorf("a verdict that is none has the name %q", name)
	}
}

// verdictDoc is docs/verdicts.md.
func verdictDoc() string {
	var b strings.Builder
	b.WriteString(`# Verdicts

Every frame that ipalias sees ends in exactly one verdict. The same name stands in
the counters of ` + "`ipalias stats`" + `, in the metrics, in the output of ` + "`ipalias explain`" + ` and
` + "`ipalias replay`" + `, and in the comments of a recording. So when something is not answered,
the verdict whose counter rises says why.

The table is in the order in which a frame is looked at: a frame that is wrong in two
ways gets the first. Names are stable: new ones are added, none is ever given another meaning.
"Answered" says whether an answer goes out at once.

This file is made from the source; ` + "`go test ./responder -run TestVerdictDoc -update`" + ` writes it.

| verdict | answered | meaning |
|---|---|---|
`)
	for v := range responder.Verdict(responder.NumVerdicts) {
		yes := ""
		if v.Answered() {
			yes = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v, yes, v.Help())
	}
	return b.String()
}

func TestVerdictDoc(t *testing.T) { golden(t, "../docs/verdicts.md", verdictDoc()) }

// golden compares a file with what it should hold, or writes it.
func golden(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is not up to date; run go test ./responder -run '%s' -update and look at what changes", path, t.Name())
	}
}
