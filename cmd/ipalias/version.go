package main

import (
	"io"
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
			_, err := io.WriteString(e.stdout, version.Line("ipalias"))
			return err
		},
	}
	jsonFlag(cmd, &asJSON, `a JSON document: "version", "go", "os", "arch"`)
	return cmd
}
