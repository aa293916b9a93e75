// Package version tells which version of the source a program was built from.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker: -ldflags "-X github.com/ipalias/ipalias/internal/version.version=v1.2.3".
var version string

// String is the version: what the linker was told, else the module's version
// (built by "go install ...@version"), else the revision of the source tree.
func String() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return fromBuild(info)
}

// Line is what a program prints of its version: "ipaliasd 1.2.3 (go1.26 linux/amd64)".
func Line(program string) string {
	return fmt.Sprintf("%s %s (%s %s/%s)\n", program, String(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func fromBuild(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	revision := settings["vcs.revision"]
	switch {
	case revision == "":
		return "unknown"
	case settings["vcs.modified"] == "true":
		return revision + "+dirty"
	}
	return revision
}
