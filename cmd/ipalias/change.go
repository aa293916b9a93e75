package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
)

const resultFields = `a JSON document: "changed", "changes", "warnings" and "durable"`

// The commands that change what a running daemon answers for. Each is one request: the
// daemon does all of it or nothing, between two frames, and says what it did. Nothing is
// first asked and then changed here, since somebody else may change the table in between.

func addCommand(e env) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "add LABEL ADDRESS...",
		Short: "Answer for more addresses",
		Long: `Add adds addresses, ranges a-b, prefixes a/n or the contents of files @FILE to a
label, which need not exist. When it returns they are answered for, announced, and
kept until they are deleted, whatever happens to the machine. To add what is there
already succeeds and changes nothing.`,
		Example: `  ipalias add eth0:2 172.16.3.11
  ipalias add eth0:lab 10.64.0.0/16 10.65.0.1-10.65.0.200 @more.txt`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return badCommandLine("need a label and an address, as in: ipalias add eth0:2 172.16.3.11")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return edit(cmd.Context(), e, r, control.Add, args[0], args[1:])
		},
	}
	r.flags(cmd, resultFields)
	cmd.ValidArgsFunction = r.labels
	return cmd
}

func delCommand(e env) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "del LABEL [ADDRESS...]",
		Short: "Answer for addresses no more",
		Long: `Del deletes a label, or some of its addresses. What the configuration has is not
deleted there, but remembered as removed, also over reloads and restarts; ipalias
show tells so, and ipalias add brings it back.`,
		Example: `  ipalias del eth0:2
  ipalias del eth0:lab 10.64.0.17`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 {
				return badCommandLine("need a label, as in: ipalias del eth0:2")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return edit(cmd.Context(), e, r, control.Delete, args[0], args[1:])
		},
	}
	r.flags(cmd, resultFields)
	cmd.ValidArgsFunction = r.labels
	return cmd
}

// edit sends one change of one label. Without addresses a deletion is that of the label,
// and that alone: a list of nobody's addresses, such as a file of comments, is refused by
// readAddresses. It once went as no addresses, and the label was gone with all it had.
func edit(ctx context.Context, e env, r remote, do, label string, args []string) error {
	// The label goes as it was typed: which interfaces there are only the daemon knows, and a
	// look beforehand could be out of date by the time of the change.
	edit := control.Edit{Do: do, Label: label}
	if len(args) > 0 {
		var err error
		if edit.Addresses, err = readAddresses(label, args); err != nil {
			return err
		}
	}
	result, err := r.client().Edit(ctx, edit)
	return printResult(e, r, result, err)
}

func reloadCommand(e env) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again",
		Long: `Reload has the daemon read the file that it was started with, as SIGHUP does. What
was added and removed at run time stays so; an addition that the file now has is
set aside. If anything is wrong with the file, nothing changes.`,
		Example: `  ipalias diff && ipalias reload`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := r.client().Reload(cmd.Context())
			return printResult(e, r, result, err)
		},
	}
	r.flags(cmd, resultFields)
	return cmd
}

func replaceCommand(e env) *cobra.Command {
	var r remote
	var file string
	cmd := &cobra.Command{
		Use:   "replace -c FILE",
		Short: "Answer for what a configuration says, and nothing else",
		Long: `Replace has the daemon answer for what FILE says now, and forget all that was added
and removed at run time. That lasts over restarts, until ipalias reload returns to the
file that the daemon was started with. FILE is read by this command, not by the
daemon, and only now.`,
		Example: `  ipalias replace -c tomorrow.toml`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			source, err := readSource(file)
			if err != nil {
				return err
			}
			result, err := r.client().Replace(cmd.Context(), *source)
			return printResult(e, r, result, err)
		},
	}
	configFlag(cmd, &file)
	r.flags(cmd, resultFields)
	return cmd
}

// readSource reads a configuration with the files that it names. It goes to the daemon
// as it is, unparsed: it was once written anew here, and what the daemon said of a line was
// about a text that nobody had seen. Lists of addresses travel beside it as files of their
// own, for a million addresses as strings of TOML were parsed twice and then kept.
// The files are opened here, with the rights of whoever asks and from where they are: the
// daemon may be in another directory and may see less of the disk, or more.
func readSource(file string) (*control.Source, error) {
	if file == "" {
		return nil, errNoConfig
	}
	text, files, err := config.LoadToSend(file)
	if err != nil {
		return nil, err
	}
	// The daemon keeps the name to tell where its table is from. A relative one would mean
	// another file to whoever reads it elsewhere.
	name, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	return &control.Source{Name: name, Text: text, Files: files}, nil
}

func diffCommand(e env) *cobra.Command {
	var r remote
	var file string
	cmd := &cobra.Command{
		Use:   "diff [-c FILE]",
		Short: "Say what a reload would change",
		Long: `Diff tells what would change if the daemon read its configuration again, or if FILE
were in its place: a line for each difference, beginning with + or - or ~.
It changes nothing.`,
		Example: `  ipalias diff
  ipalias diff -c tomorrow.toml --json | jq .changes`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// nil: the daemon's own file, as reload would read it. Only the daemon knows which that
			// is, so nothing is looked for here. An empty -c is a mistake and not that.
			var source *control.Source
			if cmd.Flags().Changed("config") {
				var err error
				if source, err = readSource(file); err != nil {
					return err
				}
			}
			d, err := r.client().Diff(cmd.Context(), source)
			if err != nil {
				return refused(err)
			}
			if r.asJSON {
				return printJSON(e.stdout, d)
			}
			// Differences are no failure, unlike with diff(1): people type ipalias diff && ipalias reload.
			return printLines(e, d.Changes, d.Warnings, "nothing would change")
		},
	}
	configFlag(cmd, &file)
	r.flags(cmd, `a JSON document: "same", "changes" and "warnings"`)
	return cmd
}

// printResult tells what a change did; result may be nil if err is not. That nothing was to
// be changed is success: scripts add the same addresses at each start.
func printResult(e env, r remote, result *control.Result, err error) error {
	if err != nil {
		return refused(err)
	}
	if r.asJSON {
		return printJSON(e.stdout, result)
	}
	// With --ephemeral. Whoever relies on a change had better know.
	if result.Changed && !result.Durable {
		result.Warnings = append(result.Warnings, "the daemon keeps nothing: this ends with it")
	}
	return printLines(e, result.Changes, result.Warnings, "nothing changed: it was so already")
}

// printLines prints changes, and warnings where messages go: the output of diff is compared
// and searched, and no line of it may be anything but a difference. Warnings don't change
// the exit status, as with check.
func printLines(e env, changes, warnings []string, none string) error {
	// Put together and written at once: there is one error to look at, and a pipe that is
	// closed is noticed as in every other command.
	var text bytes.Buffer
	for _, line := range changes {
		fmt.Fprintln(&text, line)
	}
	if len(changes) == 0 {
		fmt.Fprintln(&text, none)
	}
	for _, w := range warnings {
		fmt.Fprintf(e.stderr, "ipalias: warning: %s\n", w)
	}
	_, err := e.stdout.Write(text.Bytes())
	return err
}

func saveCommand(e env) *cobra.Command {
	var r remote
	cmd := &cobra.Command{
		Use:   "save FILE",
		Short: "Write what is answered for as a configuration",
		Long: `Save writes the configuration with all that was added and removed at run time to a
file of its own, or to standard output if FILE is "-". It never writes over the
daemon's own file, nor over any that it did not write itself.`,
		Example: `  ipalias save now.toml && ipalias check -c now.toml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return badCommandLine("need one file to write to, or - for standard output")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			saved, err := r.client().Save(cmd.Context())
			if err != nil {
				return refused(err)
			}
			switch {
			case r.asJSON:
				return printJSON(e.stdout, saved)
			// The daemon only gives the text. It writes no file for those who ask: it has other rights
			// than they, and could be sent to overwrite what is not theirs.
			case args[0] == "-":
				_, err := io.WriteString(e.stdout, saved.Text)
				return err
			}
			return writeSaved(args[0], saved)
		},
	}
	r.flags(cmd, `a JSON document: "source" and "text"; nothing is written to FILE`)
	return cmd
}

// writeSaved writes a file whole or not at all, and none that somebody else wrote: a
// configuration has comments and an order that saving would lose. Where path is a link,
// what it leads to is written; a rename over the link would leave the other file old, and
// whoever reads that by its own name would not notice.
func writeSaved(path string, saved *control.Saved) error {
	// Lstat, since Stat finds nothing at a link that leads nowhere, and the link would be
	// replaced by a file. So it is an error here. What is not there at all has no link to follow.
	if _, err := os.Lstat(path); err == nil {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return fmt.Errorf("save: %w", err)
		}
	}
	if err := mayReplace(path, saved); err != nil {
		return err
	}
	if err := replaceFile(path, saved.Text); err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // its path is one that nobody gave
		}
		return fmt.Errorf("save %s: %w", path, err)
	}
	return nil
}

// mayReplace tells why what there is at path must stay; nil if there is nothing or it may go.
func mayReplace(path string, saved *control.Saved) error {
	info, err := os.Stat(path)
	if err != nil {
		return nil // whoever writes there tells
	}
	// Before it is read: this once read /dev/full until memory ended. And a rename, as root,
	// would put a file in the place of /dev/null.
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file: expected a file to write, or - for standard output", path)
	}
	// By the file and not by its name: the daemon's may be meant by another path or a link. If
	// it can't be looked at from here, the mark below still refuses what people wrote.
	if own, err := os.Stat(saved.Source); err == nil && os.SameFile(info, own) {
		return fmt.Errorf("%s is the daemon's own configuration: save writes over no file that people write", path)
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// The first line says who wrote the file. What is empty has nothing to lose, and may come
	// from mktemp.
	mark, _, _ := strings.Cut(saved.Text, "\n")
	if len(old) > 0 && !bytes.HasPrefix(old, []byte(mark)) {
		return fmt.Errorf("%s exists and was not written by ipalias save", path)
	}
	return nil
}

// replaceFile writes a file beside path and renames it over: a power cut or a full disk leaves
// the old file or the new one, and no daemon ever reads half of one.
func replaceFile(path, text string) error {
	// In the same directory, as a rename can't leave a file system. Hidden, so that a pattern
	// such as *.toml does not find it meanwhile.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	// After the rename there is nothing of this name any more, and nothing is removed.
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	// CreateTemp gives 0600. A configuration holds no secret, and check is run by anybody.
	if err == nil {
		err = f.Chmod(0o644)
	}
	// Before the rename: the name may reach the disk before the text, and a power cut would
	// leave an empty file in the place of the old one.
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	// The new name is the directory's to keep: until it is synced too, a power cut may bring
	// back the old file after this said that it was saved.
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
