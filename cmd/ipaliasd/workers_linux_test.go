package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/framegen"
	"github.com/ipalias/ipalias/internal/netlab"
)

// twoWorkers is the HOWTO's table and a range, answered by two workers.
func twoWorkers(fanout string) string {
	return "[interface.v0]\nworkers = 2\nfanout = \"" + fanout + "\"\n" + howto + "\"v0:2\" = \"10.64.0.0/24\"\n"
}

// With two workers ARP is answered and learned from, datagrams of any size are put
// together, and the limits are those of one, whichever way frames are shared out.
func TestWorkers(t *testing.T) {
	for _, fanout := range []string{"hash", "cpu"} {
		for _, reply := range []string{"reflect", "routed"} {
			t.Run(fanout+", "+reply, func(t *testing.T) {
				a, b := lab(t, "ping", "arping", "taskset")
				text := strings.Replace(twoWorkers(fanout), "\n", "\nreply = \""+reply+"\"\n", 1)
				p := ipaliasd(t, a, "-c", file(t, text))
				must(t, b, "ip", "route", "add", "10.64.0.0/24", "dev", netlab.CardB)
				pings := 0
				// veth delivers on the processor that sends: each of them in turn.
				for _, cpu := range capture.CPUs() {
					for _, alias := range []string{"172.16.3.10", "172.16.3.100", "10.64.0.0", "10.64.0.77", "10.64.0.255"} {
						for _, size := range []string{"56", "20000", "65507"} {
							out := must(t, b, "taskset", "-c", strconv.Itoa(cpu), "ping", "-c", "1", "-W", "5", "-s", size, alias)
							if strings.Contains(out, "duplicate") {
								t.Errorf("processor %d, %s bytes:\n%s", cpu, size, out)
							}
							pings++
						}
					}
				}
				answered(t, b, "172.16.3.100")
				p.interrupt(t)
				p.hasTotal(t, "echo-answered", pings+3)
			})
		}
	}
}

// allowed lists where the threads of a process may run, each list once.
func (p *process) allowed(t *testing.T) (lists []string) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.cmd.Process.Pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("threads: %v, %v", files, err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue // the thread has ended
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			if list, ok := strings.CutPrefix(s.Text(), "Cpus_allowed_list:\t"); ok && !slices.Contains(lists, list) {
				lists = append(lists, list)
			}
		}
		f.Close()
	}
	slices.Sort(lists)
	return lists
}

// Workers are pinned to processors that the daemon was started on, and nothing of it
// runs anywhere else.
func TestWorkersStayInTheMask(t *testing.T) {
	cpus := capture.CPUs()
	a, b := lab(t, "ping", "taskset")
	for _, cpu := range cpus {
		p := start(t, a.Command("taskset", "-c", strconv.Itoa(cpu), binary, "-c", file(t, twoWorkers("hash"))))
		p.wait(t, p.stdout, "answering for", 1)
		must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
		if got, want := p.allowed(t), []string{strconv.Itoa(cpu)}; !slices.Equal(got, want) {
			t.Errorf("started on %d, threads may run on %q", cpu, got)
		}
		p.interrupt(t)
	}
	p := ipaliasd(t, a, "-c", file(t, twoWorkers("hash")))
	must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
	got := p.allowed(t)
	for _, cpu := range cpus[max(0, len(cpus)-2):] {
		if !slices.Contains(got, strconv.Itoa(cpu)) {
			t.Errorf("threads may run on %q, want a worker pinned to %d", got, cpu)
		}
	}
}

// A flood beyond what the rings hold is dropped and counted, each frame once; the
// daemon neither grows nor stalls.
func TestOverload(t *testing.T) {
	a, b := lab(t, "ping")
	text := "[interface.v0]\nworkers = 2\nring = 64\n" + howto
	p := ipaliasd(t, a, "-c", file(t, text))
	w := tap(t, b)
	flood := make([][]byte, 64) // of ARP from as many hosts, so that both workers have their share
	for i := range flood {
		flood[i] = framegen.Ether(framegen.Broadcast, peerMAC, framegen.TypeARP, framegen.ARP{
			SenderMAC: peerMAC, Sender: netip.AddrFrom4([4]byte{172, 16, 3, byte(101 + i)}), Target: v0alias,
		}.Bytes())
	}
	round := func() {
		for range 500 {
			w.put(flood...)
		}
		// The first one may still find the ring full: with a deadline ping goes on until one is answered.
		must(t, b, "ping", "-c", "1", "-w", "10", "172.16.3.10")
	}
	round()
	before := p.peakKiB(t)
	const rounds = 4
	for range rounds - 1 {
		round()
	}
	const room = 4 << 10 // what the runtime takes now and then
	if after := p.peakKiB(t); after > before+room {
		t.Errorf("the flood made the daemon grow from %d to %d KiB", before, after)
	}
	p.interrupt(t)
	m := regexp.MustCompile(`v0: (\d+) frames? received, \d+ sent, (\d+) dropped`).FindStringSubmatch(p.stdout.String())
	if m == nil {
		t.Fatalf("no totals in\n%s", p.stdout)
	}
	received, _ := strconv.Atoi(m[1])
	dropped, _ := strconv.Atoi(m[2])
	const sent = rounds * 500 * 64
	lost := sendDrops(t, b, netlab.CardB)
	// Beside the flood there are the pings, and what the peer's kernel says by itself. What
	// still lies in the ring of a worker that had no turn is neither: 80 slots each.
	if all := received + dropped + lost; all < sent-2*80 || all > sent+200 {
		t.Errorf("%d received, %d dropped and %d lost on the way are %d of %d frames and some pings", received, dropped, lost, all, sent)
	}
}

// What a running card can't change is said.
func TestWorkersChangeAtTheNextStart(t *testing.T) {
	a, b := lab(t, "ping")
	name := file(t, howto)
	p := ipaliasd(t, a, "-c", name)
	if err := os.WriteFile(name, []byte(twoWorkers("cpu")), 0o644); err != nil {
		t.Fatal(err)
	}
	p.cmd.Process.Signal(syscall.SIGHUP)
	p.wait(t, p.stderr, "changes at the next start", 1)
	must(t, b, "ip", "route", "add", "10.64.0.0/24", "dev", netlab.CardB)
	must(t, b, "ping", "-c", "1", "-W", "5", "10.64.0.9")
	p.interrupt(t)
}

// qdisc = true has answers pass what tc put on the card; else they pass it by.
func TestQdisc(t *testing.T) {
	a, b := lab(t, "ping", "tc")
	must(t, a, "tc", "qdisc", "add", "dev", netlab.CardA, "root", "pfifo", "limit", "1000")
	sent := func() int {
		m := regexp.MustCompile(`Sent \d+ bytes (\d+) pkt`).FindStringSubmatch(must(t, a, "tc", "-s", "qdisc", "show", "dev", netlab.CardA))
		if m == nil {
			t.Fatal("tc does not say what was sent")
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	const pings = 20
	for value, through := range map[string]bool{"true": true, "false": false} {
		p := ipaliasd(t, a, "-c", file(t, "[interface.v0]\nqdisc = "+value+"\n"+howto))
		before := sent()
		for range pings {
			must(t, b, "ping", "-c", "1", "-W", "5", "172.16.3.10")
		}
		// What a's kernel says by itself in the meantime passes it too.
		if n := sent() - before; n >= pings != through {
			t.Errorf("qdisc = %s: %d frames passed the queueing discipline, of %d answers", value, n, pings)
		}
		p.interrupt(t)
	}
}

// sendDrops is how many frames a card of n could not hand to the other end of the cable.
// On a machine that has no time for it the kernel queues between the cards, and what is
// more than its queue holds (net.core.netdev_max_backlog) is dropped on the way.
func sendDrops(t *testing.T, n *netlab.Namespace, card string) (lost int) {
	t.Helper()
	for _, line := range strings.Split(must(t, n, "cat", "/proc/net/dev"), "\n") {
		const column = 1 + 8 + 3 // the name, eight figures of receiving, and three
		if f := strings.Fields(line); len(f) > column && f[0] == card+":" {
			lost, _ = strconv.Atoi(f[column])
		}
	}
	return lost
}
