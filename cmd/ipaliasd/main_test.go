package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipalias/ipalias/internal/version"
)

func TestCommandLine(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "wrong.toml")
	if err := os.WriteFile(wrong, []byte("[interface.eth0]\nmtu = \"big\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name           string
		args           []string
		status         int
		stdout, stderr []string // what they hold; nil: nothing at all
	}{
		{"nothing", nil, misuse, nil, []string{"ipaliasd: nothing to do", "Usage:", "--config"}},
		{"help", []string{"--help"}, done, []string{"Usage:", "Examples:", "ipaliasd -i eth0 -a 172.16.3.10"}, nil},
		{"version", []string{"--version"}, done, []string{"ipaliasd " + version.String() + " (go"}, nil},
		{"unknown flag", []string{"--fast"}, misuse, nil, []string{"--fast", "Try 'ipaliasd --help'"}},
		{"flag without value", []string{"-c"}, misuse, nil, []string{"-c", "Try 'ipaliasd --help'"}},
		{"argument", []string{"eth0"}, misuse, nil, []string{`"eth0"`, "Try 'ipaliasd --help'"}},
		{"metrics nowhere", []string{"-i", "eth0", "--metrics", "9850"}, misuse, nil, []string{`--metrics is "9850", expected host:port or unix:PATH`}},
		{"metrics at no path", []string{"-i", "eth0", "--metrics", "unix:"}, misuse, nil, []string{`--metrics is "unix:", expected host:port or unix:PATH`}},
		{"file and card", []string{"-c", "x.toml", "-i", "eth0"}, misuse, nil, []string{"-c and -i exclude each other"}},
		{"file and alias", []string{"-c", "x.toml", "-a", "10.0.0.1"}, misuse, nil, []string{"-c and -i exclude each other"}},
		{"alias without card", []string{"-a", "10.0.0.1"}, misuse, nil, []string{"-i CARD"}},
		{"no such file", []string{"-c", filepath.Join(t.TempDir(), "none.toml")}, misuse, nil, []string{"none.toml"}},
		{"wrong file", []string{"-c", wrong}, misuse, nil, []string{"wrong.toml:2:"}},
		{"wrong alias", []string{"-i", "no-such-card", "-a", "10.0.0.1/8"}, misuse, nil, []string{"10.0.0.1/8"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(t.Context(), env{args: tc.args, stdout: &stdout, stderr: &stderr})
			if status != tc.status {
				t.Errorf("exit status %d, want %d", status, tc.status)
			}
			check(t, "stdout", stdout.String(), tc.stdout)
			check(t, "stderr", stderr.String(), tc.stderr)
		})
	}
}

func check(t *testing.T, where, got string, want []string) {
	t.Helper()
	if want == nil && got != "" {
		t.Errorf("%s holds %q, want nothing", where, got)
	}
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("no %q in %s:\n%s", w, where, got)
		}
	}
}
