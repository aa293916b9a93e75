package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/control"
	"github.com/ipalias/ipalias/internal/daemon"
	"github.com/ipalias/ipalias/internal/metrics"
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
	metrics   string
	observe   bool
	logFormat string
	logLevel  string

	user       string
	unfiltered bool
}

func (o *options) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.socket, "socket", "", "be asked and changed through the Unix socket `PATH` (default "+control.DefaultSocket+", or "+control.SocketEnv+")")
	flags.StringVar(&o.state, "state", "", "keep what is changed at run time in `DIR` (default "+defaultState+", or "+stateEnv+")")
	flags.BoolVar(&o.ephemeral, "ephemeral", false, "keep nothing of what is changed at run time")
	flags.StringVar(&o.group, "group", "", "let members of `GROUP` change aliases, beside root and the daemon's own user")
	flags.BoolVar(&o.observe, "observe", false, "count as if answering, but send nothing on any card, whatever the configuration's mode")
	flags.StringVar(&o.logFormat, "log-format", "text", "write the log as `FORMAT`, text or json")
	flags.StringVar(&o.logLevel, "log-level", "info", "log from `LEVEL` on: debug, info, warn or error; ipalias log-level changes it")
	flags.StringVar(&o.metrics, "metrics", "", "give Prometheus its metrics on `ADDRESS`, host:port or unix:PATH (default nowhere)")
	flags.StringVar(&o.user, "user", "", "started as root, run as user `NAME`, with no capability but CAP_NET_RAW")
	flags.BoolVar(&o.unfiltered, "no-seccomp", false, "do not have the kernel refuse system calls that the daemon never makes")
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
	log, level, err := logger(e.stderr, o)
	if err != nil {
		return err
	}
	state, named := choose(o.state, stateEnv, defaultState)
	if o.ephemeral {
		state = ""
	}
	// Before anything is answered: a SIGHUP that comes early must not end us.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	if err := become(o, cfg.Path, log); err != nil {
		return err
	}
	d, err := daemon.New(cfg, daemon.Deps{Log: log, Level: level, Out: e.stdout, Load: load, State: state, Optional: !named, Observe: o.observe})
	if err != nil {
		return err
	}
	defer d.Close()
	listener, err := listen(o, log)
	if err != nil {
		return err
	}

	var scraped net.Listener
	if o.metrics != "" {
		if scraped, err = metrics.Listen(o.metrics); err != nil {
			return err
		}
		defer scraped.Close()
	}

	if err := confined(o, d.Shields(), log); err != nil {
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
	if scraped != nil {
		others.Go(func() {
			if err := metrics.Serve(ctx, scraped, d, log); err != nil {
				log.Error(err.Error())
			}
		})
	}
	others.Go(func() { announceStates(ctx, d, log, hangup) })
	others.Go(func() { watchdog(ctx, log, d.Moving) })
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

// announceStates tells systemd what state the daemon is in, and reads the
// configuration again for each SIGHUP. What is wrong with it the daemon logs.
func announceStates(ctx context.Context, d *daemon.Daemon, log *slog.Logger, hangup <-chan os.Signal) {
	select {
	case <-d.Ready():
		notify(log, systemd.SdNotifyReady)
	case <-ctx.Done():
		return
	}
	self := control.Peer{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), PID: int32(os.Getpid())}
	for {
		select {
		case <-hangup:
			notify(log, reloading())
			d.Reload(ctx, self)
			notify(log, systemd.SdNotifyReady) // also after a failure: the old one goes on
		case <-ctx.Done():
			notify(log, systemd.SdNotifyStopping)
			return
		}
	}
}
