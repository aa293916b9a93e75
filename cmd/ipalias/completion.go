package main

import (
	"context"
	"strings"
	"time"

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
			// With no argument and with two this is no shell either.
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

// labels completes a label with those of the running daemon. At a prompt neither an error
// is of use nor a list that takes longer than a second: then there is nothing to choose from.
func (r *remote) labels(cmd *cobra.Command, args []string, begun string) (list []string, _ cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault // an address, or @FILE
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
	defer cancel()
	show, err := r.client().Show(ctx, "")
	if err != nil {
		// Without the directive shells would offer the files of this directory for labels.
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, i := range show.Interfaces {
		for _, l := range i.Labels {
			if strings.HasPrefix(l.Label, begun) {
				list = append(list, l.Label)
			}
		}
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}
