//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// acquire takes the lock that a file stands for; it ends with the process that
// has it, however that ends. The file tells whose it is, where it can be written to.
func acquire(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		reader, failed := os.Open(path) // a lock takes no right to write
		if failed != nil {
			return nil, err
		}
		f = reader
	}
	mayWrite := err == nil
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner, _ := io.ReadAll(io.LimitReader(f, 100))
		f.Close()
		return nil, fmt.Errorf("%w by %s", ErrLocked, strings.TrimSpace(string(owner)))
	}
	if err == nil && mayWrite {
		err = f.Truncate(0)
	}
	if err == nil && mayWrite {
		_, err = fmt.Fprintf(f, "process %d\n", os.Getpid())
	}
	// A full disk keeps the name of the owner away, not the lock.
	if err != nil && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) && !errors.Is(err, syscall.EFBIG) {
		f.Close()
		return nil, err
	}
	return f, nil
}
