package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/capture"
	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/internal/confine"
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

// options are those of the command line that are not about what is answered for.
// What is answered for, -c, -i and -a, is read apart: it may be read again, these never are.
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

// flags adds them to the command. Defaults that an environment variable may change stand in the
// text, not in the value: choose has to see whether the flag was given.
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

// check tells what is wrong with the options that are used only later.
func (o *options) check(log *slog.Logger) error {
	// As misuse, before anything is opened: with status 2 systemd does not try again for ever.
	if o.metrics != "" {
		path, unix := strings.CutPrefix(o.metrics, "unix:")
		if _, _, err := net.SplitHostPort(o.metrics); unix && path == "" || !unix && err != nil {
			return badCommandLine("--metrics is %q, expected host:port or unix:PATH", o.metrics)
		}
	}
	if o.group != "" {
		// It is looked up each time, so it may be made yet.
		if _, err := user.LookupGroup(o.group); err != nil {
			log.Warn("nobody may change anything by --group yet", "group", o.group, "error", err)
		}
	}
	return nil
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

// gcPercent is how much garbage there may be, in percent of what is in use. Go's own
// default, as much again, doubles the memory of a large table. To collect more often
// costs nothing here: frames make no garbage, only changes and looks at the table do.
const gcPercent = 10

// serve answers until ctx ends.
func serve(ctx context.Context, e env, cfg *config.Config, load func() (*config.Config, error), o options) error {
	log, level, err := logger(e.stderr, o)
	if err != nil {
		return err
	}
	if err := o.check(log); err != nil {
		return err
	}
	// That nobody reads the log any more, a tee or the journal that ended, is no reason to
	// answer no more; Go's runtime thinks so, of standard output and error.
	signal.Ignore(syscall.SIGPIPE)
	// Before anything is answered: a SIGHUP that comes early must not end us.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	if err := become(o, cfg.Path, log); err != nil {
		return err
	}
	// What goes wrong here confined tells.
	// This early, since it takes some forty calls that each stop every thread: with the threads that
	// the cards bring they take twice as long. What a shield needs the configuration says by now.
	confine.Bound(needed(slices.ContainsFunc(cfg.Interfaces, func(i config.Interface) bool { return i.Shield }))...)
	m := newManager(log)
	inherited, err := m.inherit()
	if err != nil {
		return err
	}
	defer inherited.Close()
	state, named := choose(o.state, stateEnv, defaultState)
	if o.ephemeral {
		state = ""
	}
	deps := daemon.Deps{Log: log, Level: level, Out: e.stdout, Load: load, State: state, Optional: !named, Observe: o.observe, Inheritance: inherited.cards}
	// Without a manager there is nobody to keep a socket, and the next process opens its own.
	if m.there() {
		deps.Keep = func(k capture.Kept) { m.keep(k.FD, k.Name) }
	}
	d, err := daemon.New(cfg, deps)
	if err != nil {
		return err
	}
	defer d.Close()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	a := attendance{daemon: d, manager: m, log: log, hangup: hangup, group: o.group}
	if a.control, err = listen(o, log, inherited.control); err != nil {
		return err
	}
	if a.scraped, err = listenMetrics(o, log); err != nil {
		return err
	}
	// What no card took over: a copy that stays open would keep its card promiscuous.
	inherited.Close()
	if err := confined(o, d.Shields(), log); err != nil {
		return err
	}
	return a.run(ctx)
}

// An attendance is a daemon and all that looks at it.
type attendance struct {
	daemon  *daemon.Daemon
	manager *manager
	log     *slog.Logger
	hangup  <-chan os.Signal
	group   string            // that may change aliases
	control *control.Listener // nil: nothing can be asked
	scraped net.Listener      // nil: nobody asks for metrics
}

// run answers and is looked at until ctx ends.
func (a *attendance) run(ctx context.Context) error {
	var kept control.Kept
	if a.control != nil && a.manager.there() {
		kept = a.control.Keep()
	}
	var others sync.WaitGroup
	if a.control != nil {
		server := &control.Server{Backend: a.daemon, Log: a.log, Group: a.group}
		others.Go(func() {
			defer a.control.Close()
			if err := server.Serve(ctx, a.control); err != nil {
				a.log.Error(err.Error())
			}
		})
	}
	if a.scraped != nil {
		others.Go(func() {
			defer a.scraped.Close()
			if err := metrics.Serve(ctx, a.scraped, a.daemon, a.log); err != nil {
				a.log.Error(err.Error())
			}
		})
	}
	// Beside answering, and never before it: what hangs here, the manager, say, holds up no frame.
	others.Go(func() { announceStates(ctx, a.daemon, a.manager, a.hangup) })
	others.Go(func() { a.manager.watchdog(ctx, a.daemon.Moving) })

	// Answering ends last: what takes its time to end must not cost a reply.
	answering, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	go func() {
		<-ctx.Done()
		others.Wait()
		end()
	}()
	err := a.daemon.Run(answering)
	if kept.Name != "" {
		a.manager.keep(kept.FD, kept.Name)
	}
	a.manager.barrier()
	return err
}

// listen makes the control socket, or takes over the one that was kept. Where it is
// the default one, doing without is better than answering nothing.
func listen(o options, log *slog.Logger, kept *os.File) (*control.Listener, error) {
	path, named := choose(o.socket, control.SocketEnv, control.DefaultSocket)
	if l := control.Adopt(path, kept); l != nil {
		return l, nil
	}
	if !named {
		// It is the daemon's own, and only systemd makes it before. Whether it could be made Listen tells.
		os.MkdirAll(filepath.Dir(path), 0o755)
	}
	l, err := control.Listen(path)
	if err != nil && !named && !errors.Is(err, control.ErrLive) {
		log.Warn(fmt.Sprintf("nothing can be asked or changed at run time: %v", err))
		return nil, nil
	}
	return l, err
}

// listenMetrics makes the listener that Prometheus asks, nil if nobody wants it.
func listenMetrics(o options, log *slog.Logger) (net.Listener, error) {
	if o.metrics == "" {
		return nil, nil
	}
	l, err := metrics.Listen(o.metrics)
	if err == nil && metrics.Exposed(l) {
		log.Warn("the metrics are open to every host that reaches this one", "address", l.Addr().String())
	}
	return l, err
}

// statusInterval is how often the manager hears whether all is well, if that has
// changed.
const statusInterval = time.Second

// announceStates tells the manager what state the daemon is in, and reads the
// configuration again for each SIGHUP. What is wrong with it the daemon logs.
func announceStates(ctx context.Context, d *daemon.Daemon, m *manager, hangup <-chan os.Signal) {
	select {
	case <-d.Ready():
	case <-ctx.Done():
		return
	}
	said := d.Status(ctx)
	m.tell(systemd.SdNotifyReady + "\nSTATUS=" + said)
	var ticks <-chan time.Time
	if m.there() { // else nobody hears it, and a timer that runs out is what a daemon at rest does
		ticker := time.NewTicker(statusInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	self := control.Peer{UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), PID: int32(os.Getpid())}
	for {
		select {
		case <-ticks:
			if now := d.Status(ctx); now != said {
				said = now
				m.tell("STATUS=" + said)
			}
		case <-hangup:
			m.tell(reloading())
			d.Reload(ctx, self)
			said = d.Status(ctx)
			m.tell(systemd.SdNotifyReady + "\nSTATUS=" + said) // also after a failure: the old one goes on
		case <-ctx.Done():
			m.tell(systemd.SdNotifyStopping)
			return
		}
	}
}
