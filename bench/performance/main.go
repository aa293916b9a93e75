// Performance runs all benchmarks and writes docs/performance.md: what was
// measured beside what was aimed at, and what stops us.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/bench/wire"
)

//go:embed performance.md.tmpl
var document string

// notes are what profiles told, by hand: no program can write that.
//
//go:embed notes.md
var notes string

func main() {
	out := flag.String("o", "docs/performance.md", "write `FILE`, and beside it the plots")
	var o wire.Options
	flag.IntVar(&o.Rounds, "rounds", wire.Rounds, "measure each responder `N` times over veth")
	flag.StringVar(&o.Daemon, "daemon", "bin/ipaliasd", "`FILE` of ipaliasd")
	flag.Func("peer-program", "`FILE` of a further peer, see ipalias bench wire; may be repeated", func(s string) error {
		o.Programs = append(o.Programs, s)
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *out, o); err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
}

// A page is what the template fills in.
type page struct {
	Memory *bench.Report
	Wire   *wire.Report
	Daemon *wire.DaemonReport
	Goals  []goal
	Notes  string
	Took   time.Duration

	Plot, WirePlot                   string // file names
	MemoryText, WireText, DaemonText string
}

func run(ctx context.Context, out string, o wire.Options) error {
	start := time.Now()
	var p page
	var err error
	fmt.Fprintln(os.Stderr, "the daemon ...")
	if p.Daemon, err = wire.RunDaemon(ctx, o.Daemon); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "over veth ...")
	o.Progress = func(what string) { fmt.Fprintln(os.Stderr, what) }
	if p.Wire, err = wire.Run(ctx, o); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "in memory ...")
	if p.Memory, err = bench.Run(ctx, bench.Rounds); err != nil {
		return err
	}
	if p.Goals, err = goals(p.Memory, p.Wire, p.Daemon); err != nil {
		return err
	}
	p.Took, p.Notes = time.Since(start).Round(time.Second), notes
	return p.write(out)
}

// write writes the page and its plots.
func (p *page) write(out string) error {
	var memoryText, wireText, daemonText, plot, wirePlot, text bytes.Buffer
	err := errors.Join(p.Memory.WriteText(&memoryText), p.Wire.WriteText(&wireText), p.Daemon.WriteText(&daemonText),
		p.Memory.WritePlot(&plot), p.Wire.WritePlot(&wirePlot))
	if err != nil {
		return err
	}
	p.MemoryText, p.WireText, p.DaemonText = memoryText.String(), wireText.String(), daemonText.String()
	base := strings.TrimSuffix(out, filepath.Ext(out))
	p.Plot, p.WirePlot = filepath.Base(base)+".svg", filepath.Base(base)+"-wire.svg"
	t, err := template.New("performance").Parse(document)
	if err != nil {
		return err
	}
	if err := t.Execute(&text, p); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(base+".svg", plot.Bytes(), 0o644),
		os.WriteFile(base+"-wire.svg", wirePlot.Bytes(), 0o644),
		os.WriteFile(out, text.Bytes(), 0o644))
}
