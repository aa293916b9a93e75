package main
import "github.com/spf13/cobra"
func labCommand(e env) *cobra.Command { return &cobra.Command{Use:"lab"} }
