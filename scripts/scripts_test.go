// Package scripts tests what the Makefile's scripts are made of. Each script itself is
// tested by being run.
package scripts

import (
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Of a test that failed nothing is missing in what "make test" shows, whatever tests and
// the programs that they run write in between; those that passed are not heard of.
func TestShortened(t *testing.T) {
	got, err := exec.Command("awk", "-v", "module=example.org/fx", "-f", "test.awk", "testdata/go-test.txt").Output()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/go-test.want")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
