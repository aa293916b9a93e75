package version

import (
	"runtime/debug"
	"testing"
)

func TestString(t *testing.T) {
	if String() == "" {
		t.Error("a build without a version")
	}
	version = "v1.2.3"
	defer func() { version = "" }()
	if got := String(); got != "v1.2.3" {
		t.Errorf("%q, want what the linker was told", got)
	}
}

func TestFromBuild(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123abcd"}
	for _, tc := range []struct {
		name, main string
		settings   []debug.BuildSetting
		want       string
	}{
		{"module", "v0.1.0", []debug.BuildSetting{revision}, "v0.1.0"},
		{"tree", "(devel)", []debug.BuildSetting{revision}, "0123abcd"},
		{"changed tree", "", []debug.BuildSetting{revision, {Key: "vcs.modified", Value: "true"}}, "0123abcd+dirty"},
		{"nothing known", "(devel)", nil, "unknown"},
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: tc.main}, Settings: tc.settings}
		if got := fromBuild(info); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
