package config

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe that nobody writes to keeps nobody waiting who may not wait.
func TestLoadAgainFromPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAgain(path); err == nil || err.Error() != path+": cannot read the configuration: it is no regular file" {
		t.Errorf("a pipe: %v", err)
	}
	// The first time it may be one.
	done := make(chan error, 1)
	go func() {
		done <- os.WriteFile(path, []byte("[interface.eth0.aliases]\n\"eth0:0\" = \"172.16.3.10\"\n"), 0)
	}()
	if c, err := Load(path); err != nil || len(c.Interfaces) != 1 {
		t.Errorf("from a pipe: %v, %v", c, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
