package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// many is a Show of so many labels, which are made as they are written.
func many(labels int) *Show {
	i := InterfaceShow{Name: "eth0", Networks: []string{"172.16.3.0/24"}, Labels: []LabelShow{}, Addresses: uint64(labels)}
	i.Each = func(yield func(*LabelShow) bool) {
		l := LabelShow{Entries: make([]EntryShow, 1)}
		for n := range labels {
			l.Label, l.From, l.Addresses = fmt.Sprintf("eth0:%d", n), FromFile, 1
			l.Entries[0] = EntryShow{Range: fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255), From: FromFile}
			if !yield(&l) {
				return
			}
		}
	}
	return &Show{Source: `a "interfaces":[] b.toml`, Interfaces: []InterfaceShow{i, {Name: "eth1", State: `"labels":[]`, Labels: []LabelShow{}}}, Strays: []string{"eth9:0"}}
}

// What is written a label at a time is what encoding/json would write at once.
func TestShowIsWrittenAsJSON(t *testing.T) {
	for _, labels := range []int{0, 1, 3} {
		var got bytes.Buffer
		n, err := many(labels).WriteTo(&got)
		if err != nil || n != int64(got.Len()) {
			t.Errorf("%d labels: %d bytes of %d, %v", labels, n, got.Len(), err)
		}
		whole := many(labels)
		for l := range whole.Interfaces[0].Each {
			one := *l
			one.Entries = append([]EntryShow{}, l.Entries...)
			whole.Interfaces[0].Labels = append(whole.Interfaces[0].Labels, one)
		}
		want, err := json.Marshal(whole)
		if err != nil || got.String() != string(want) {
			t.Errorf("%d labels: %v\ngot  %s\nwant %s", labels, err, got.String(), want)
		}
	}
}

// long is a Backend with many labels. It says how much memory was in use while they were
// told, beyond what was before.
type long struct {
	recorder
	labels int
	grown  uint64
}

func (b *long) Show(context.Context, string, string) (*Show, error) {
	s := many(b.labels)
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, labels := inUse(), s.Interfaces[0].Each
	s.Interfaces[0].Each = func(yield func(*LabelShow) bool) {
		n := 0
		for l := range labels {
			if n++; n%(b.labels/4) == 0 {
				now := inUse()
				b.grown = max(b.grown, now-min(now, before))
			}
			if !yield(l) {
				return
			}
		}
	}
	return s, nil
}

// A document of any number of labels goes out and comes in a label at a time.
func TestLongShow(t *testing.T) {
	b := &long{labels: 200_000}
	path := serveOf(t, b, "")
	begun, labels := 0, 0
	show, err := NewClient(path).Labels(t.Context(), "", ShowReader{
		Begin: func(s *Show, i *InterfaceShow) error {
			if begun++; i.Addresses != 200_000 && i.Name != "eth1" || !strings.HasSuffix(s.Source, "b.toml") {
				t.Errorf("before the labels: %+v of %+v", i, s)
			}
			return nil
		},
		Label: func(i *InterfaceShow, l *LabelShow) error {
			if want := fmt.Sprintf("eth0:%d", labels); l.Label != want || i.Name != "eth0" || len(l.Entries) != 1 {
				return fmt.Errorf("found %+v of %s, want %s", l, i.Name, want)
			}
			labels++
			return nil
		},
	})
	if err != nil || begun != 2 || labels != b.labels {
		t.Fatalf("%d interfaces and %d labels, %v", begun, labels, err)
	}
	want := many(0)
	want.Interfaces[0].Addresses, want.Interfaces[0].Labels, want.Interfaces[1].Labels = 200_000, nil, nil
	if d := cmp.Diff(want, show, cmpopts.IgnoreFields(InterfaceShow{}, "Each")); d != "" {
		t.Errorf("beside the labels (-want +got):\n%s", d)
	}
	if most := uint64(4 << 20); b.grown > most {
		t.Errorf("%d bytes in use for it, want at most %d", b.grown, most)
	}
	var text bytes.Buffer
	if err := NewClient(path).CopyShow(t.Context(), &text); err != nil || !json.Valid(text.Bytes()) {
		t.Errorf("copied: %v, %d bytes", err, text.Len())
	}
	if b.labels = 4; NewClient(path).CopyShow(t.Context(), io.Discard) != nil {
		t.Error("there is no short answer")
	}
	for begin := time.Now(); b.settled.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("nothing was done about what two large answers took")
		}
	}
	if n := b.settled.Load(); n != 2 {
		t.Errorf("it was done %d times, after two large answers and a short one", n)
	}
}

// An answer that breaks off is an error, not a shorter list.
func TestShowBreaksOff(t *testing.T) {
	var whole bytes.Buffer
	if _, err := many(5).WriteTo(&whole); err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, 40, whole.Len() / 2, whole.Len() - 1} {
		c := NewClient("none")
		c.http.Transport = told(func(r *http.Request) string { return whole.String()[:cut] })
		if _, err := c.Labels(t.Context(), "", ShowReader{Label: func(*InterfaceShow, *LabelShow) error { return nil }}); err == nil {
			t.Errorf("of %d bytes %d came, and nothing was wrong", whole.Len(), cut)
		}
	}
}

// told is a transport whose answers are made here.
type told func(*http.Request) string

func (f told) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(f(r))), Request: r}, nil
}
