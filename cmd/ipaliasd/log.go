package main

import (
	"io"
	"log/slog"
	"strings"

	"github.com/ipalias/ipalias/internal/daemon"
)

// logger makes the log of the command line's format and level. The level can be
// changed later.
func logger(w io.Writer, o options) (*slog.Logger, *slog.LevelVar, error) {
	level := new(slog.LevelVar)
	l, ok := daemon.ParseLogLevel(o.logLevel)
	if !ok {
		return nil, nil, badCommandLine("--log-level is %q, expected one of %s", o.logLevel, strings.Join(daemon.LogLevels, ", "))
	}
	level.Set(l)
	options := &slog.HandlerOptions{Level: level}
	switch o.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), level, nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), level, nil
	}
	return nil, nil, badCommandLine("--log-format is %q, expected text or json", o.logFormat)
}
