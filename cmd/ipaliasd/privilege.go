package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ipalias/ipalias/internal/confine"
	"github.com/ipalias/ipalias/internal/control"
)

// become makes the daemon the user that the command line names, before it opens
// anything: what it makes from here on is the user's. Only the directories that
// it writes to take root to make. config is the configuration's file, if it has one.
func become(o options, config string, log *slog.Logger) error {
	if o.user == "" {
		return nil
	}
	u, err := confine.Lookup(o.user)
	if err != nil {
		return badCommandLine("--user: %w", err)
	}
	socket, named := choose(o.socket, control.SocketEnv, control.DefaultSocket)
	// One that was named and is not there is not made: listen tells.
	if _, err := os.Stat(filepath.Dir(socket)); err == nil || !named {
		if err := give(filepath.Dir(socket), u, 0o755, isSocket); err != nil {
			return fmt.Errorf("make the directory of the control socket: %w", err)
		}
	}
	if state, _ := choose(o.state, stateEnv, defaultState); !o.ephemeral {
		if err := give(state, u, 0o750, isState); err != nil {
			return fmt.Errorf("make the state directory: %w", err)
		}
	}
	if err := confine.Become(u); err != nil {
		return err
	}
	if config != "" {
		f, err := os.OpenFile(config, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe, read to its end, has nobody at the other one
		if err != nil {
			log.Warn("the configuration will not be read again", "user", u.Name, "error", err)
		}
		f.Close()
	}
	return nil
}

// give makes a directory that is the user's. One that is root's, and holds nothing
// but what root's daemon left there, changes hands; any other stays as it is, and
// the user can write to it or not.
func give(dir string, u *confine.User, mode fs.FileMode, ours func(fs.DirEntry) bool) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); err == nil {
		return os.Lchown(dir, u.UID, u.GID)
	} else if !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Where others can write to it, a name in it may be a hard link to any file.
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o022 != 0 || !rootOwns(info) {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !ours(e) {
			return nil
		}
	}
	for _, e := range entries {
		if err := os.Lchown(filepath.Join(dir, e.Name()), u.UID, u.GID); err != nil {
			return err
		}
	}
	return os.Lchown(dir, u.UID, u.GID)
}

func rootOwns(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Uid == 0
}

// isSocket and isState know what a daemon of root's left in the two directories.
func isSocket(e fs.DirEntry) bool { return e.Type() == fs.ModeSocket }

func isState(e fs.DirEntry) bool {
	return e.Type().IsRegular() && (e.Name() == "lock" || strings.HasPrefix(e.Name(), "changes.journal"))
}

// needed are the capabilities that the daemon keeps.
func needed(shields bool) []int {
	if shields {
		return []int{confine.NetRaw, confine.NetAdmin} // each change of nftables takes it
	}
	// For the cards that are yet to come, or come back: opening a packet socket takes it.
	return []int{confine.NetRaw}
}

// confined drops what the daemon does not need once its cards are open.
func confined(o options, shields bool, log *slog.Logger) error {
	// Of all threads at once. To execute the program anew would do it, too, but read the configuration
	// twice and lose what was opened.
	err := confine.Limit(needed(shields)...)
	switch {
	case errors.Is(err, confine.ErrBuild) && o.user == "", errors.Is(err, confine.ErrUnsupported):
		log.Warn("the daemon keeps all its privileges", "error", err)
		return nil
	case err != nil:
		return err
	}
	if o.unfiltered {
		return nil
	}
	// Last, since what comes before makes calls that are never made again. It costs every later call
	// 40 to 60 ns: 1 to 2 ns a frame, as a call moves a batch of them.
	if err := confine.Filter(); err != nil {
		log.Warn("the daemon may make any system call", "error", err)
	}
	return nil
}
