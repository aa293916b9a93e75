package netlab

import (
	"bytes"
	"strings"
	"sync"
	"time"
)

// patience is how long a test waits before it fails; one that succeeds never waits for it.
const patience = time.Minute

// An Output collects what a program writes while it runs, and wakes up whoever waits
// for more: a test waits for what a program says, not for a time. The zero value is empty.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // closed by the next Write; nil: nobody waits
}

// Write implements io.Writer. It never fails.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more != nil {
		close(o.more)
		o.more = nil
	}
	return o.text.Write(b)
}

// String gives all that was written.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Wait returns when text was written at least so many times. It fails the test where
// the program ends without, which ended tells (nil: it does not end), or takes too long.
func (o *Output) Wait(t TB, text string, times int, ended <-chan struct{}) {
	t.Helper()
	deadline := time.After(patience)
	for {
		got, more := o.read()
		if strings.Count(got, text) >= times {
			return
		}
		select {
		case <-more:
		case <-ended:
			if strings.Count(o.String(), text) < times {
				t.Fatalf("ended without %q", text)
			}
		case <-deadline:
			t.Fatalf("no %q within %v", text, patience)
		}
	}
}

// read gives all that was written, and a channel that is closed when more is.
func (o *Output) read() (text string, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more == nil {
		o.more = make(chan struct{})
	}
	return o.text.String(), o.more
}
