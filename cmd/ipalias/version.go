package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/version"
)

// versionReport is what "version --json" prints.
type versionReport struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func versionCommand(e env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Example: `  ipalias version
  ipalias version --json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			r := versionReport{version.String(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
			if asJSON {
				return printJSON(e.stdout, r)
			}
			_, err := fmt.Fprintf(e.stdout, "ipalias %s (%s %s/%s)\n", r.Version, r.Go, r.OS, r.Arch)
			return err
		},
	}
	jsonFlag(cmd, &asJSON, `a JSON document: "version", "go", "os", "arch"`)
	return cmd
}
