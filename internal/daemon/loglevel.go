package daemon

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/ipalias/ipalias/internal/control"
)

// LogLevels are the names of what can be logged, the least grave first.
var LogLevels = []string{"debug", "info", "warn", "error"}

// ParseLogLevel reads one of LogLevels.
func ParseLogLevel(name string) (level slog.Level, ok bool) {
	if !slices.Contains(LogLevels, name) { // slog knows more, such as INFO-3
		return 0, false
	}
	return level, level.UnmarshalText([]byte(name)) == nil
}

// LogLevel implements control.Backend.
func (d *Daemon) LogLevel(context.Context) *control.LogLevel {
	return &control.LogLevel{Level: strings.ToLower(d.deps.Level.Level().String())}
}

// SetLogLevel implements control.Backend. It holds until the daemon ends.
func (d *Daemon) SetLogLevel(_ context.Context, who control.Peer, l control.LogLevel) (*control.LogLevel, error) {
	level, ok := ParseLogLevel(l.Level)
	if !ok {
		return nil, control.Refuse(http.StatusBadRequest, "bad level: found %q, expected one of %s", l.Level, strings.Join(LogLevels, ", "))
	}
	if before := d.deps.Level.Level(); before != level {
		d.deps.Level.Set(level)
		// At the graver of both, so that whoever reads the log sees where it changes.
		d.deps.Log.Log(context.Background(), max(before, level, slog.LevelInfo), "the log level was changed", "uid", who.UID, "pid", who.PID,
			"before", strings.ToLower(before.String()), "after", l.Level)
	}
	return d.LogLevel(context.Background()), nil
}
