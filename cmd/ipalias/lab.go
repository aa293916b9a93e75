package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/netlab"
)

// The lab is the HOWTO's network. The namespaces have fixed names, since they are
// typed by hand.
const (
	labHost = "ipalias-host"
	labPeer = "ipalias-peer"
	labCard = "eth0"

	labConfig = `# The IP Alias mini-HOWTO's table. 172.16.3.1 is the card's own address and
# stays the kernel's.
[interface.eth0]
network = ["172.16.3.0/24"]
gateway = ["172.16.3.200"]

[interface.eth0.aliases]
"eth0:0" = "172.16.3.10"
"eth0:1" = "172.16.3.100"
`
)

// stopTime is how long a process may take to end before it is killed.
const stopTime = 5 * time.Second

func labCommand(e env) *cobra.Command {
	return &cobra.Command{
		Use:   "lab [-- COMMAND [ARGUMENT...]]",
		Short: "Make a network of two namespaces to try it in",
		Long: `Lab makes the HOWTO's network out of two network namespaces and a veth pair, and
runs ipaliasd at one end:

  namespace ipalias-host                        namespace ipalias-peer
  eth0: 172.16.3.1, the kernel's    <------>    eth0: 172.16.3.200, the gateway
  aliases 172.16.3.10, 172.16.3.100

With COMMAND it runs that in ipalias-peer, and ends with it; else it tells what to
type and waits for ^C. Either way it takes everything away again.

It needs root. ipaliasd is looked for beside ipalias, then in PATH.

Exit status: 0 COMMAND succeeded, or ^C; 1 it failed.`,
		Example: `  sudo ipalias lab
  sudo ipalias lab -- ping -c 3 172.16.3.10
  sudo ipalias lab -- sh`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() < 0 && len(args) > 0 {
				return badCommandLine("unexpected argument %q: put -- before a command", args[0])
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return runLab(ctx, e, args)
		},
	}
}

// runLab makes the lab, has command run in it, or waits for ctx to end, and takes
// it away.
func runLab(ctx context.Context, e env, command []string) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("lab makes network namespaces, which takes root: sudo ipalias lab")
	}
	daemon, err := findDaemon()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ipalias-lab-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "ipalias.toml")
	if err := os.WriteFile(file, []byte(labConfig), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	host, peer, err := makeLab()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peer.Close(), host.Close()) }()

	server := &labDaemon{Cmd: host.Command(daemon, "-c", file)}
	server.Stderr = e.stderr
	if err := server.start(e.stdout); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	select {
	case <-server.answering:
	case <-ctx.Done():
		return nil
	case <-time.After(stopTime):
		return errors.New("ipaliasd does not begin to answer")
	}
	if len(command) == 0 {
		fmt.Fprint(e.stdout, labHelp)
		<-ctx.Done()
		fmt.Fprintln(e.stdout)
		return nil
	}
	return runIn(ctx, e, peer, command)
}

const labHelp = `
Try, in another shell:

  ip netns exec ipalias-peer ping 172.16.3.10
  ip netns exec ipalias-peer arping -I eth0 172.16.3.100
  ip netns exec ipalias-peer ping -c 1 172.16.3.50        # no alias: silence
  ip netns exec ipalias-peer tcpdump -n -i eth0

^C takes it all away.
`

// findDaemon looks for ipaliasd where it is built and installed: beside us.
func findDaemon() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "ipaliasd")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath("ipaliasd")
	if err != nil {
		return "", errors.New("find ipaliasd: it is neither beside ipalias nor in PATH")
	}
	return path, nil
}

// makeLab makes the namespaces and the cable between them.
func makeLab() (host, peer *netlab.Namespace, err error) {
	if host, err = newNamespace(labHost); err != nil {
		return nil, nil, err
	}
	if peer, err = newNamespace(labPeer); err != nil {
		return nil, nil, errors.Join(err, host.Close())
	}
	mac, _ := net.ParseMAC("00:8e:b8:83:19:20") // the HOWTO's
	err = netlab.Veth(
		netlab.End{Namespace: host, Name: labCard, MAC: mac, Addresses: []netip.Prefix{netip.MustParsePrefix("172.16.3.1/24")}},
		netlab.End{Namespace: peer, Name: labCard, Addresses: []netip.Prefix{netip.MustParsePrefix("172.16.3.200/24")}},
	)
	if err != nil {
		return nil, nil, errors.Join(err, peer.Close(), host.Close())
	}
	return host, peer, nil
}

func newNamespace(name string) (*netlab.Namespace, error) {
	n, err := netlab.New(name)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%w: either a lab is running, or \"ip netns del %s\" removes what is left of one", err, name)
	}
	return n, err
}

// A labDaemon is the ipaliasd of the lab.
type labDaemon struct {
	*exec.Cmd
	answering chan struct{} // closed at its first line, which it prints when it answers, or at its end
	printed   chan struct{} // closed when it has printed everything
}

// start starts ipaliasd and passes on what it prints.
func (d *labDaemon) start(out io.Writer) error {
	// Of its own group, so that ^C in the terminal ends what runs before it.
	d.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := d.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start ipaliasd: %w", err)
	}
	if err := d.Start(); err != nil {
		return fmt.Errorf("start ipaliasd: %w", err)
	}
	d.answering, d.printed = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(d.printed)
		lines := bufio.NewReader(pipe)
		line, _ := lines.ReadString('\n')
		io.WriteString(out, line)
		close(d.answering)
		io.Copy(out, lines)
	}()
	return nil
}

// stop ends ipaliasd as ^C does, and waits for the totals that it prints.
func (d *labDaemon) stop() error {
	d.Process.Signal(syscall.SIGINT)
	kill := time.AfterFunc(stopTime, func() { d.Process.Kill() })
	defer kill.Stop()
	<-d.printed // before Wait, which closes the pipe
	if err := d.Wait(); err != nil {
		return fmt.Errorf("ipaliasd: %w", err)
	}
	return nil
}

// runIn runs a command in a namespace until it ends or ctx does.
func runIn(ctx context.Context, e env, n *netlab.Namespace, command []string) error {
	cmd := n.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.stdin, e.stdout, e.stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", command[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(command, " "), err)
		}
		return nil
	case <-ctx.Done():
	}
	// The terminal's ^C reached it too; a signal to us alone did not.
	cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(stopTime):
		cmd.Process.Kill()
		<-ended
	}
	return errors.New("interrupted")
}
