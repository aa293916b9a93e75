package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/netlab"
)

// A recording collects what a daemon records, until it is ended.
type recording struct {
	file *netlab.Output
	end  context.CancelFunc
	done chan struct{}
	how  *control.Recorded
	err  error
}

// record begins to record and waits until the daemon has begun too.
func (p *process) record(t *testing.T, what control.Recording) *recording {
	t.Helper()
	r := &recording{file: new(netlab.Output), done: make(chan struct{})}
	ctx, end := context.WithCancel(t.Context())
	r.end = end
	go func() {
		defer close(r.done)
		r.how, r.err = p.client().Record(ctx, what, r.file)
	}()
	t.Cleanup(func() { end(); <-r.done })
	p.wait(t, r.file, "ipalias", 1) // the head of the file names who wrote it
	return r
}

// frames ends the recording and gives what is in it.
func (r *recording) frames(t *testing.T) (list []capture.Frame) {
	t.Helper()
	r.end()
	select {
	case <-r.done:
	case <-time.After(patience):
		t.Fatal("the recording does not end")
	}
	if r.err != nil {
		t.Fatalf("recording: %v", r.err)
	}
	reader, err := capture.NewReader(strings.NewReader(r.file.String()))
	if err != nil {
		t.Fatal(err)
	}
	for {
		f, err := reader.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatalf("the recording is damaged: %v", err)
		}
		f.Data = bytes.Clone(f.Data)
		list = append(list, f)
	}
}

// What came and what went is in the recording, as it was on the wire, with the
// verdicts, for tshark to read.
func TestRecord(t *testing.T) {
	a, b := lab(t, "tshark")
	p := ipaliasd(t, a, "-c", file(t, howto))
	w := tap(t, b)
	in := [][]byte{
		whoHas(peerMAC, gateway, v0alias),
		question(peerMAC, v0alias, 1, bytes.Repeat([]byte("x"), 1400)),
		whoHas(peerMAC, gateway, gateway.Next()),
		question(peerMAC, gateway.Next(), 1, nil),
	}
	w.answers() // what came before is over
	r := p.record(t, control.Recording{Card: netlab.CardA})
	out := w.answers(in...)
	if len(out) != 2 {
		t.Fatalf("%d answers, want 2", len(out))
	}
	p.edit(t, control.Add, "v0:2", "172.16.3.11")
	w.until(announcement)
	got := r.frames(t)
	find := func(frame []byte) bool {
		for _, f := range got {
			if bytes.Equal(f.Data, frame) {
				return true
			}
		}
		return false
	}
	for i, f := range append(in, out...) {
		if !find(f) {
			t.Errorf("frame %d is not in the recording: %x", i, f)
		}
	}
	if int(r.how.Frames) != len(got) || r.how.Lost != 0 {
		t.Errorf("told of %+v, want %d frames and none lost", r.how, len(got))
	}

	name := filepath.Join(t.TempDir(), "a.pcapng")
	if err := os.WriteFile(name, []byte(r.file.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	text := must(t, b, "tshark", "-n", "-r", name, "-T", "fields", "-E", "separator=|", "-e", "frame.interface_name",
		"-e", "frame.packet_flags_direction", "-e", "frame.comment", "-e", "_ws.col.Protocol")
	for _, want := range []string{"v0|0x00000001|arp-answered|ARP", "v0|0x00000002|answer|ARP", "v0|0x00000001|echo-answered|ICMP",
		"v0|0x00000002|answer|ICMP", "v0|0x00000001|arp-not-alias|ARP", "v0|0x00000001|ip-not-alias|ICMP", "v0|0x00000002|announcement|ARP"} {
		if !strings.Contains(text, want) {
			t.Errorf("tshark shows no %s in\n%s", want, text)
		}
	}
	p.interrupt(t)
	if log := p.stderr.String(); strings.Count(log, "msg=recording ") != 1 || strings.Count(log, "msg=recorded ") != 1 {
		t.Errorf("who looked is not in the log once:\n%s", log)
	}
}

// It ends by number, by time, and with the daemon, and the file is whole each time.
func TestRecordEnds(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	byNumber := p.record(t, control.Recording{Frames: 5})
	byTime := p.record(t, control.Recording{Seconds: 0.2})
	byDaemon := p.record(t, control.Recording{})
	must(t, b, "ping", "-c", "20", "-i", "0.05", "-W", "5", "172.16.3.10")
	<-byNumber.done
	if got := byNumber.frames(t); len(got) != 5 || byNumber.how.Frames != 5 {
		t.Errorf("%d frames, told of %+v, want 5", len(got), byNumber.how)
	}
	<-byTime.done
	byTime.frames(t)
	p.interrupt(t)
	<-byDaemon.done
	if got := byDaemon.frames(t); len(got) < 40 {
		t.Errorf("%d frames, want 20 requests and their answers", len(got))
	}
}

// There are only so many at a time, of cards that exist, for those who may change
// something; and what observes says what it did not send.
func TestRecordRefused(t *testing.T) {
	a, b := lab(t, "setpriv", "curl")
	p := ipaliasd(t, a, "--observe", "-c", file(t, howto))
	for range 4 {
		p.record(t, control.Recording{})
	}
	refused := func(want string, status int, what control.Recording) {
		t.Helper()
		_, err := p.client().Record(t.Context(), what, io.Discard)
		e, ok := err.(*control.Error)
		if !ok || e.Status != status || !strings.Contains(e.Message, want) {
			t.Errorf("refused with %v, want %d %s", err, status, want)
		}
	}
	refused("4 recordings are under way", http.StatusTooManyRequests, control.Recording{})
	refused(`no card "eth7"; those that are listened on: v0`, http.StatusNotFound, control.Recording{Card: "eth7"})

	os.Chmod(p.socket, 0o666)
	if out := must(t, a, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-s", "-d", "{}", "--unix-socket", p.socket, "http://ipaliasd/v1/record"); !strings.Contains(out, "may look, but not change") {
		t.Errorf("a stranger gets %q", out)
	}

	p = ipaliasd(t, a, "--observe", "-c", file(t, howto))
	r := p.record(t, control.Recording{})
	w := tap(t, b)
	w.put(whoHas(peerMAC, gateway, v0alias))
	p.wait(t, r.file, "answer, not sent: observing", 1)
	r.frames(t)
}

// A reader that takes nothing loses frames and knows how many, and delays nobody;
// what it has is whole up to the last frame.
func TestRecordSlowReader(t *testing.T) {
	a, b := lab(t, "ping")
	p := ipaliasd(t, a, "-c", file(t, howto))
	slow := &gate{open: make(chan struct{})}
	done := make(chan struct{})
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var how *control.Recorded
	var err error
	go func() {
		defer close(done)
		how, err = p.client().Record(ctx, control.Recording{}, slow)
	}()
	<-slow.begun()
	ping := must(t, b, "ping", "-f", "-q", "-c", "40000", "-s", "1400", "172.16.3.10")
	if !strings.Contains(ping, "40000 packets transmitted") {
		t.Errorf("want 40000 requests\n%s", ping)
	}
	// The daemon's own word, not ping's: where ping waits for its turn, some hundred answers
	// are more than its socket holds.
	p.stats(t, func(s *control.Stats) bool {
		return s.Interfaces[0].Verdicts["echo-answered"] == 40000 && s.Cards[0].Stats.Dropped == 0 && s.Cards[0].Stats.SendErr == 0
	})
	end()
	close(slow.open)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if how.Lost == 0 || how.Frames+how.Lost < 80000 {
		t.Errorf("%+v, want some lost, and 80000 frames together", how)
	}
	reader, err := capture.NewReader(bytes.NewReader(slow.text.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	frames := uint64(0)
	for ; err == nil; frames++ {
		_, err = reader.Next()
	}
	if err != io.EOF || frames-1 != how.Frames {
		t.Errorf("%d frames in the file, then %v; told of %d", frames-1, err, how.Frames)
	}
}

// A gate is a writer that takes nothing before it is opened.
type gate struct {
	open  chan struct{}
	once  sync.Once
	first chan struct{}
	init  sync.Once
	text  bytes.Buffer
}

func (g *gate) begun() chan struct{} {
	g.init.Do(func() { g.first = make(chan struct{}) })
	return g.first
}

func (g *gate) Write(b []byte) (int, error) {
	g.once.Do(func() { close(g.begun()) })
	<-g.open
	return g.text.Write(b)
}
