package wire

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/internal/control"
)

// million is a file of a million addresses, none next to another.
// None next to another: each is a single address for the table, which is its worst case.
func (d *daemonLab) million(ctx context.Context) error {
	table, err := bench.FindTable("1Mi-scattered")
	if err != nil {
		return err
	}
	if err := writeAddresses(filepath.Join(d.dir, "addresses.txt"), table); err != nil {
		return err
	}
	at := func(i uint64) netip.Addr { return bench.NetAddr(table.Addr(uint32(i))) }
	r, start, err := d.starts(millionStarts, `"@addresses.txt"`, at(table.Size/2))
	if err != nil {
		return err
	}
	d.report.MillionStart = start
	err = func() error {
		time.Sleep(settling) // what loading took beside is given back soon, not at once
		fresh, err := memory(r.pid)
		if err != nil {
			return err
		}
		// Less what three addresses take: program, runtime and buffers.
		d.report.PerAddress = (fresh - d.report.Memory) / float64(table.Size)
		answered, err := d.askEach(ctx, table)
		if err != nil {
			return err
		}
		// At once: each first answer makes a row of counters, which is what is looked for.
		asked, err := memory(r.pid)
		if err != nil {
			return err
		}
		d.report.PerUsed = (asked - fresh) / float64(answered)
		time.Sleep(settling) // a million first requests leave it with work
		drain(d.fd)          // their answers fill the socket, which then has no room for the next
		if err := d.addSome(ctx, at(0)); err != nil {
			return err
		}
		return d.reload(ctx)
	}()
	return errors.Join(err, r.stop())
}

// writeAddresses writes the list as an operator would have it, an address a line.
func writeAddresses(name string, table *bench.Table) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for i := range table.Size {
		fmt.Fprintln(w, bench.NetAddr(table.Addr(uint32(i))))
	}
	return errors.Join(w.Flush(), f.Close())
}

// askEach asks for each address once, and gives the number of answers: a host that
// stalls may cost some.
func (d *daemonLab) askEach(ctx context.Context, table *bench.Table) (answered uint64, err error) {
	a := aim{name: table.Name, targets: table.Size}
	// ARP requests: with the shortest way to an answer, and to a row of counters.
	b, err := newBursts(d.gen.index, d.blank(true), a)
	if err != nil {
		return 0, err
	}
	defer b.close()
	before, _, err := d.counted()
	if err != nil {
		return 0, err
	}
	// Paced: a daemon with one worker on this machine answers several times as many, so that
	// what gets lost is the machine's fault.
	gap := time.Second * burstSize / askRate
	due := time.Now()
	for i := uint64(0); i < table.Size; i += burstSize {
		// In the table's own order, and each once: bursts by themselves ask at random.
		for n, f := range b.frames {
			to := table.Addr(uint32(i) + uint32(n))
			copy(f[arpTarget:], []byte{byte(to >> 24), byte(to >> 16), byte(to >> 8), byte(to)})
		}
		// Without sleeping: a timer is late by more than a burst takes.
		for due = due.Add(gap); time.Now().Before(due); {
		}
		if err := errors.Join(ctx.Err(), b.put(burstSize)); err != nil {
			return 0, err
		}
	}
	// The counter has counted since the lab was made: what was there before is taken off.
	var t tally
	if err := d.collect(&t); err != nil {
		return 0, err
	}
	// More would be lost if it did not hold the rate, and then the figure would be of fewer rows.
	if answered = t.replies - before; answered < table.Size*9/10 {
		return 0, fmt.Errorf("%d of %d addresses answered", answered, table.Size)
	}
	return answered, nil
}

// addSome adds addresses one by one, and asks for another one meanwhile.
// Two things are asked: how long a change takes to be in force, and whether anybody else has to wait
// for it. The other address is asked all the time, by the thread that also asks for the new one.
func (d *daemonLab) addSome(ctx context.Context, other netip.Addr) error {
	client := control.NewClient(d.socket())
	request := d.request(true, other, 0)
	r := d.report
	var times []float64
	ping := func(longest *float64) error {
		took, err := trip(d.fd, request, tripLimit)
		if took == 0 {
			r.Lost++
		}
		r.Asked++
		*longest = max(*longest, took)
		return err
	}
	for i := range adds {
		added := netip.AddrFrom4([4]byte{172, 16, 3, byte(20 + i)})
		// Room for one, for when this gives up before the answer.
		failed := make(chan error, 1)
		start := time.Now()
		go func() {
			_, err := client.Edit(ctx, control.Edit{Do: control.Add, Label: d.dut.name + ":new", Addresses: []string{added.String()}})
			failed <- err
		}()
		took := 0.0
		for took == 0 {
			if err := ping(&r.Longest); err != nil {
				return err
			}
			// Asked beside the other one, in turn, until it answers. This short, so that it is not what the
			// other one waits for.
			got, err := trip(d.fd, d.request(true, added, 0), 50*time.Microsecond)
			if err != nil {
				return err
			}
			if got > 0 {
				took = ms(time.Since(start))
			}
			if time.Since(start) > startLimit {
				return fmt.Errorf("%v was added, and there was no answer within %v", added, startLimit)
			}
		}
		// A change is durable before it is in force, so what was waited for has the disk in it.
		if err := <-failed; err != nil {
			return err
		}
		times = append(times, took)
	}
	r.Add = spread(times)
	// As many questions with nothing going on, for comparison. The longest of many grows with how
	// many there are; and those that are lost here are not the change's.
	asked, lost := r.Asked, r.Lost
	for range asked {
		if err := errors.Join(ctx.Err(), ping(&r.Undisturbed)); err != nil {
			return err
		}
	}
	r.Asked, r.Lost = asked, lost
	return nil
}

// reload has the daemon read its file again, and take it up.
// The answer to the request comes when the table is in force.
func (d *daemonLab) reload(ctx context.Context) error {
	client := control.NewClient(d.socket())
	var times []float64
	for range millionStarts {
		start := time.Now()
		if _, err := client.Reload(ctx); err != nil {
			return err
		}
		times = append(times, ms(time.Since(start)))
	}
	d.report.Reload = spread(times)
	return nil
}
