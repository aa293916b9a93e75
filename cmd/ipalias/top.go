package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ipalias/ipalias/internal/control"
)

func topCommand(e env) *cobra.Command {
	var r remote
	var times, rows int
	cmd := &cobra.Command{
		Use:   "top [-n TIMES] [--rows ROWS]",
		Short: "Watch the busiest aliases and askers, verdicts and drops",
		Long: `Top shows what a running daemon does now, once a second: frames in and out, drops,
verdicts, and which aliases are asked most by whom. In a terminal it takes keys:

  f  sort by frames          a  by answers
  u  by unanswered frames    i  by address
  q  end

Elsewhere, and in a terminal that can't move its cursor (TERM=dumb), it prints one
table after the other. Who asks and who is asked is counted by the daemon only
while somebody looks, in memory that does not grow: when thousands of parties share
the traffic, the quiet ones among them may be missing, and a count with a + is the
least that it can be.`,
		Example: `  ipalias top
  ipalias top -n 1
  ipalias top -n 1 --json | jq -r '.askers[] | "\(.address) \(.frames)"'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if times < 0 || rows < 1 || rows > 100 {
				return badCommandLine("-n is %d and --rows %d, expected not below 0 and 1 to 100", times, rows)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			t := top{e: e, client: r.client(), times: times, rows: rows, asJSON: r.asJSON}
			if screen := terminalOf(e); screen != nil && times == 0 && !r.asJSON {
				return refused(t.live(ctx, screen))
			}
			return refused(t.plain(ctx))
		},
	}
	cmd.Flags().IntVarP(&times, "times", "n", 0, "end after `TIMES` tables (default: never)")
	cmd.Flags().IntVar(&rows, "rows", 20, "at most `ROWS` aliases and as many askers; a terminal shows what it has room for")
	r.flags(cmd, `a JSON document each time: "seconds", "cards", "interfaces", "aliases" and "askers"`)
	return cmd
}

// A top asks again and again.
type top struct {
	e      env
	client *control.Client
	times  int // 0: for ever
	rows   int
	asJSON bool
}

// terminalOf gives the terminal that we write to and are controlled from, nil if there
// is none whose cursor can be moved.
func terminalOf(e env) *os.File {
	out, ok := e.stdout.(*os.File)
	in, alsoIn := e.stdin.(*os.File)
	if !ok || !alsoIn || !term.IsTerminal(int(out.Fd())) || !term.IsTerminal(int(in.Fd())) {
		return nil
	}
	if name := os.Getenv("TERM"); name == "" || name == "dumb" {
		return nil
	}
	return out
}

// plain prints one table after the other.
func (t *top) plain(ctx context.Context) error {
	for n := 1; ; n++ {
		// Each request takes a second, in which the daemon counts: that is the pace, and no timer
		// is needed here.
		now, err := t.client.Top(ctx, t.rows)
		switch {
		case ctx.Err() != nil: // ^C
			return nil
		case err != nil:
			return err
		case t.asJSON:
			err = printJSON(t.e.stdout, now)
		default:
			_, err = t.e.stdout.Write(append(topTable(now, byFrames, t.rows), '\n'))
		}
		if err != nil || n == t.times {
			return err
		}
	}
}

// What moves a terminal's cursor (ECMA-48, and xterm's second screen).
const (
	enter     = "\x1b[?1049h\x1b[?25l" // the second screen, without a cursor
	leave     = "\x1b[?25h\x1b[?1049l"
	home      = "\x1b[H"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
)

// live shows the tables in place until q or ^C.
func (t *top) live(ctx context.Context, screen *os.File) error {
	in := t.e.stdin.(*os.File)
	// Keys are to come one by one, not line by line.
	old, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("set up the terminal: %w", err)
	}
	fmt.Fprint(screen, enter)
	defer func() {
		fmt.Fprint(screen, leave)
		term.Restore(int(in.Fd()), old)
	}()

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	keys, resized := make(chan byte), make(chan os.Signal, 1)
	go readKeys(ctx, in, keys)
	notifyResized(resized)
	defer signal.Stop(resized)
	tables, failed := make(chan *control.Top), make(chan error, 1)
	// Apart from the loop below, so that a key is obeyed at once and not at the next table.
	go func() {
		for {
			now, err := t.client.Top(ctx, 100) // what is sorted in another way must be there
			if err != nil {
				failed <- err
				return
			}
			select {
			case tables <- now:
			case <-ctx.Done():
				return
			}
		}
	}()

	now, order := (*control.Top)(nil), byFrames
	for {
		t.draw(screen, now, order)
		select {
		case now = <-tables:
		case <-resized:
		case key := <-keys:
			if key == 'q' || key == 'Q' || key == 3 { // ^C: in raw mode no signal
				return nil
			}
			if o, ok := orders[key]; ok {
				order = o
			}
		case err := <-failed:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// readKeys hands on what is typed. It ends with the program: nothing can end a read of a
// terminal.
func readKeys(ctx context.Context, in *os.File, keys chan<- byte) {
	buf := make([]byte, 64)
	for {
		n, err := in.Read(buf)
		if err != nil {
			return
		}
		for _, key := range buf[:n] {
			select {
			case keys <- key:
			case <-ctx.Done():
				return
			}
		}
	}
}

// draw fills the screen, as large as it is now.
func (t *top) draw(screen *os.File, now *control.Top, order order) {
	width, height, err := term.GetSize(int(screen.Fd()))
	if err != nil || width < 1 || height < 1 {
		width, height = 80, 24
	}
	var text []byte
	if now == nil {
		text = []byte("counting for a second\n")
	} else {
		text = topTable(now, order, 100)
		// The longest table that fits: what is above the two lists has a line for each card and
		// interface, and how many these are is not ours to choose.
		for rows := 100; rows > 1 && bytes.Count(text, []byte("\n")) > height-1; rows-- {
			text = topTable(now, order, rows-1)
		}
	}
	lines := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	var out bytes.Buffer
	// Written over what is there, in one piece: a screen that is cleared first flickers.
	out.WriteString(home)
	for _, line := range lines[:min(len(lines), height-1)] {
		out.WriteString(cut(string(line), width) + clearLine + "\r\n")
	}
	out.WriteString(cut(topKeys(order), width) + clearLine + clearRest)
	screen.Write(out.Bytes())
}

// cut cuts a line to the width of the screen.
func cut(line string, width int) string {
	if r := []rune(line); len(r) > width {
		return string(r[:width])
	}
	return line
}
