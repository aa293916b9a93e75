package main

import (
	"strings"

	"github.com/spf13/cobra"
)

func completionCommand(e env) *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion {" + strings.Join(shells, " | ") + "}",
		Short: "Print a script that completes command lines",
		Long:  "Completion prints a script for a shell that completes ipalias command lines.",
		Example: `  source <(ipalias completion bash)
  ipalias completion bash > /etc/bash_completion.d/ipalias
  ipalias completion zsh > "${fpath[1]}/_ipalias"
  ipalias completion fish > ~/.config/fish/completions/ipalias.fish`,
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch strings.Join(args, " ") {
			case "bash":
				return root.GenBashCompletionV2(e.stdout, true)
			case "zsh":
				return root.GenZshCompletion(e.stdout)
			case "fish":
				return root.GenFishCompletion(e.stdout, true)
			}
			if len(args) == 1 {
				return badCommandLine("unknown shell %q: expected one of %s", args[0], strings.Join(shells, ", "))
			}
			return badCommandLine("need one shell: %s", strings.Join(shells, ", "))
		},
	}
}
