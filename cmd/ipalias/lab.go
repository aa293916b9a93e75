package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// labConfig is the HOWTO's table. Its interface is the lab's.
const labConfig = `# The network of the IP Alias mini-HOWTO. 172.16.3.1 is the main address of eth0: it is
# the kernel's, and stands in no table.

[interface.eth0]
mac     = "00:8e:b8:83:19:20"
network = ["172.16.3.0/24"]
gateway = ["172.16.3.200"]

[interface.eth0.aliases]
"eth0:0" = "172.16.3.10"
"eth0:1" = "172.16.3.100"
`

func labCommand(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "lab [-- COMMAND [ARGUMENT]...]",
		Short: "Make a network of two namespaces to try it in",
		Long: `Lab makes two network namespaces joined by a pair of virtual cards and runs
ipaliasd in one of them:

  the host   eth0 172.16.3.1/24, MAC 00:8e:b8:83:19:20; ipaliasd answers for
             eth0:0 172.16.3.10 and eth0:1 172.16.3.100
  the peer   eth0 172.16.3.200/24, the gateway

Alone it says how to use them and waits for ^C. With a COMMAND it runs that in
the peer's namespace. Either way it removes everything afterwards. Nothing of it
touches the machine's own network. It needs root, and Linux.

The COMMAND finds in its environment IPALIAS_LAB_HOST and IPALIAS_LAB_PEER, the
names of the namespaces, IPALIAS_LAB_CONFIG, the daemon's configuration, and
IPALIAS_SOCKET, so that "ipalias show" asks that daemon.
What the daemon says goes to standard error. Ipaliasd is looked for beside
ipalias, then in PATH.

Exit status: 0 done, 1 the lab or the COMMAND failed.`,
		Example: `  sudo ipalias lab
  sudo ipalias lab -- ping -c 3 172.16.3.10
  sudo ipalias lab -- sh -c 'arping -c 3 -I eth0 172.16.3.100; ip neighbour'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if n := cmd.ArgsLenAtDash(); len(args) > 0 && n != 0 {
				return badCommandLine("unexpected argument %q: a command comes after --, as in: ipalias lab -- %s", args[0], strings.Join(args, " "))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return runLab(e, args) },
	}
}
