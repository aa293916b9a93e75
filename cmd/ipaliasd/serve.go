package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/daemon"
)

// defaultState is where run-time changes are kept. systemd names another
// directory where the unit does (StateDirectory=).
const (
	defaultState = "/var/lib/ipalias"
	stateEnv     = "STATE_DIRECTORY"
)

// options are those of the command line that are about run-time changes.
type options struct {
	socket    string
	state     string
	ephemeral bool
	group     string
}

func (o *options) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.socket, "socket", "", "be asked and changed through the Unix socket `PATH` (default "+control.DefaultSocket+", or "+control.SocketEnv+")")
	flags.StringVar(&o.state, "state", "", "keep what is changed at run time in `DIR` (default "+defaultState+", or "+stateEnv+")")
	flags.BoolVar(&o.ephemeral, "ephemeral", false, "keep nothing of what is changed at run time")
	flags.StringVar(&o.group, "group", "", "let members of `GROUP` change aliases, beside root and the daemon's own user")
}

// choose gives the first of a flag, an environment variable and a default; named
// says that it is not the default.
func choose(flag, env, otherwise string) (value string, named bool) {
	if flag != "" {
		return flag, true
	}
	if value := os.Getenv(env); value != "" {
		return value, true
	}
	return otherwise, false
}

// serve answers until ctx ends.
func serve(ctx context.Context, e env, cfg *config.Config, load func() (*config.Config, error), o options) error {
	log := slog.New(slog.NewTextHandler(e.stderr, nil))
	state, named := choose(o.state, stateEnv, defaultState)
	if o.ephemeral {
		state = ""
	}
	// Before anything is answered: a SIGHUP that comes early must not end us.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	d, err := daemon.New(cfg, daemon.Deps{Log: log, Out: e.stdout, Load: load, State: state, Optional: !named})
	if err != nil {
		return err
	}
	defer d.Close()
	listener, err := listen(o, log)
	if err != nil {
		return err
	}

	var others sync.WaitGroup
	defer others.Wait()
	if listener != nil {
		server := &control.Server{Backend: d, Log: log, Group: o.group}
		others.Go(func() {
			defer listener.Close()
			if err := server.Serve(ctx, listener); err != nil {
				log.Error(err.Error())
			}
		})
	}
	others.Go(func() { reload(ctx, d, hangup) })
	return d.Run(ctx)
}

// listen makes the control socket. Where it is the default one, doing without is
// better than answering nothing.
func listen(o options, log *slog.Logger) (*control.Listener, error) {
	path, named := choose(o.socket, control.SocketEnv, control.DefaultSocket)
	l, err := control.Listen(path)
	if err != nil && !named && !errors.Is(err, control.ErrLive) {
		log.Warn(fmt.Sprintf("nothing can be asked or changed at run time: %v", err))
		return nil, nil
	}
	return l, err
}

// reload reads the configuration again for each SIGHUP. What is wrong with it the
// daemon logs.
func reload(ctx context.Context, d *daemon.Daemon, hangup <-chan os.Signal) {
	for {
		select {
		case <-hangup:
			d.Reload(ctx, control.Peer{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), PID: int32(os.Getpid())})
		case <-ctx.Done():
			return
		}
	}
}
