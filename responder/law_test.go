package responder_test

import (
	"encoding/json"
	"go/build"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ipalias/ipalias"

// A goPackage is what go list tells of one.
type goPackage struct {
	ImportPath                         string
	Standard                           bool
	Deps                               []string
	Imports, TestImports, XTestImports []string
}

// listPackages lists the module's packages, for a system that may not be this one.
func listPackages(t *testing.T, goos string) (all []goPackage, standard map[string]bool) {
	t.Helper()
	cmd := exec.Command(filepath.Join(build.Default.GOROOT, "bin", "go"), "list", "-e", "-deps", "-json=ImportPath,Standard,Deps,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = ".."
	cmd.Env = append(cmd.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	standard = map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p goPackage
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		standard[p.ImportPath] = p.Standard
		all = append(all, p)
	}
	return all, standard
}

// TestImportLaw: the walls of the house. The packet path needs nothing but the standard
// library, capture knows no protocol, programs are the top, and nothing needs cgo.
func TestImportLaw(t *testing.T) {
	for _, goos := range []string{"linux", "darwin"} {
		all, standard := listPackages(t, goos)
		seen := map[string]bool{}
		for _, p := range all {
			if !strings.HasPrefix(p.ImportPath+"/", module+"/") {
				continue
			}
			name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
			seen[name] = true
			for _, d := range p.Deps {
				switch {
				case strings.HasPrefix(d, "github.com/google/gopacket"):
					// It fills 5 MB of tables before main begins: it is an oracle of tests.
					t.Errorf("%s: %s depends on %s", goos, name, d)
				case name == "responder" && !standard[d]:
					t.Errorf("%s: responder depends on %s", goos, d)
				case name == "capture" && d == module+"/responder":
					t.Errorf("%s: capture depends on responder", goos)
				case strings.HasPrefix(d, module+"/cmd/"):
					t.Errorf("%s: %s depends on %s", goos, name, d)
				}
			}
			imports := slices.Concat(p.Imports, p.TestImports, p.XTestImports)
			for _, i := range imports {
				if i == "github.com/google/gopacket/pcap" || i == "github.com/google/gopacket/afpacket" || i == "C" {
					t.Errorf("%s: %s imports %s, which needs cgo", goos, name, i)
				}
				if name == "capture" && i == module+"/responder" {
					t.Errorf("%s: a test of capture imports responder", goos)
				}
			}
		}
		if !seen["responder"] || !seen["capture"] {
			t.Fatalf("%s: go list did not tell of responder and capture: %v", goos, seen)
		}
	}
}
