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

	"github.com/ipalias/ipalias/bench"
	"github.com/ipalias/ipalias/bench/wire"
)

//go:embed performance.md.tmpl
var document string

func main() {
	out := flag.String("o", "docs/performance.md", "write `FILE`, and beside it the plot")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *out); err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
}

// A page is what the template fills in.
type page struct {
	Memory *bench.Report
	Wire   *wire.Report
	Goals  []goal
	Plot   string
	// The reports as text.
	MemoryText, WireText string
}

func run(ctx context.Context, out string) error {
	memory, err := bench.Run(ctx, bench.Rounds)
	if err != nil {
		return err
	}
	ends, err := wire.Run(ctx, wire.Rounds)
	if err != nil {
		return err
	}
	p := page{Memory: memory, Wire: ends, Goals: goals(memory, ends)}
	var memoryText, wireText, plot, text bytes.Buffer
	if err := errors.Join(memory.WriteText(&memoryText), ends.WriteText(&wireText), memory.WritePlot(&plot)); err != nil {
		return err
	}
	p.MemoryText, p.WireText = memoryText.String(), wireText.String()
	plotName := strings.TrimSuffix(out, filepath.Ext(out)) + ".svg"
	p.Plot = filepath.Base(plotName)
	t, err := template.New("performance").Parse(document)
	if err != nil {
		return err
	}
	if err := t.Execute(&text, p); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(plotName, plot.Bytes(), 0o644), os.WriteFile(out, text.Bytes(), 0o644))
}
