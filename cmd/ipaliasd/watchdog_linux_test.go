package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A daemon that is found not to move now and then, as on a machine that has no time
// for it, still tells systemd in time that it lives, and complains once each time. One
// that does not move at all tells nothing.
func TestWatchdogIsPatient(t *testing.T) {
	for _, tc := range []struct {
		name          string
		every         int // how many looks there are to one that finds it moving; 0: none does
		told, grumble int
	}{
		{"it moves", 1, 30, 0},
		{"seldom", watchdogLooks - 1, 3, 4},
		{"never", 0, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "s")
			systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer systemd.Close()
			t.Setenv("NOTIFY_SOCKET", socket)
			t.Setenv("WATCHDOG_USEC", "60000000")
			told := make(chan int)
			go func() { // nobody's queue may fill up
				n := 0
				for buf := make([]byte, 64); ; n++ {
					if size, err := systemd.Read(buf); err != nil || string(buf[:size]) != "WATCHDOG=1" {
						told <- n
						return
					}
				}
			}()
			var log strings.Builder
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				m, look := newManager(slog.New(slog.NewTextHandler(&log, nil))), 0
				go m.watchdog(ctx, func() error {
					if look++; tc.every > 0 && look%tc.every == 0 {
						return nil
					}
					return errors.New("a worker has not moved")
				})
				time.Sleep(3*time.Minute + time.Second)
				cancel()
				synctest.Wait()
				m.tell("over")
			})
			if n := <-told; n != tc.told {
				t.Errorf("told %d times in three intervals, want %d", n, tc.told)
			}
			if n := strings.Count(log.String(), "a worker has not moved"); n != tc.grumble {
				t.Errorf("complained %d times, want %d:\n%s", n, tc.grumble, &log)
			}
		})
	}
}
