//go:build !unix

package store

import (
	"errors"
	"os"
)

func acquire(string) (*os.File, error) {
	return nil, errors.New("file locks are made on Unix only")
}
