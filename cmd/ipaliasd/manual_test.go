package main

import (
	"testing"

	"github.com/ipalias/ipalias/internal/manpage"
)

// ipaliasd(8) tells of every flag by all its names, and of no other.
func TestManual(t *testing.T) {
	page, err := manpage.Read("../../packaging/man/ipaliasd.8")
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(env{})
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	for _, difference := range page.Compare("", cmd, true) {
		t.Error(difference)
	}
}
