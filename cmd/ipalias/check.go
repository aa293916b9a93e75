package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipalias/ipalias/internal/config"
	"github.com/ipalias/ipalias/responder"
)

// checkReport is what "check --json" prints. Nothing in it is null, and with mistakes it is a
// whole document too: who runs it before a reload has one thing to read. Interfaces are empty
// then, since half a configuration answers for nothing.
type checkReport struct {
	File       string            `json:"file"`
	OK         bool              `json:"ok"`
	Errors     config.Errors     `json:"errors"`
	Warnings   []config.Warning  `json:"warnings"`
	Interfaces []interfaceReport `json:"interfaces"`
	Unchecked  []string          `json:"unchecked"` // takes the card
}

// An interfaceReport leaves out what is the card's to say. The host's own card is not asked:
// a configuration is often checked on another machine, by CI or before it is copied.
type interfaceReport struct {
	Name      string         `json:"name"`
	Card      string         `json:"card"`
	VLANs     []uint16       `json:"vlans,omitempty"` // outermost first
	MAC       string         `json:"mac,omitempty"`
	MTU       int            `json:"mtu,omitempty"`
	Network   []netip.Prefix `json:"network,omitempty"`
	Gateway   []netip.Addr   `json:"gateway,omitempty"`
	Addresses uint64         `json:"addresses"` // answered for
	Labels    []labelReport  `json:"labels"`
}

// A labelReport has ranges as text: JSON has no address, and who reads it gives them to ipalias
// add or to a shell.
type labelReport struct {
	Label     string   `json:"label"`
	Addresses uint64   `json:"addresses"` // answered for
	Ranges    []string `json:"ranges"`
}

func checkCommand(e env) *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check -c FILE",
		Short: "Say what is wrong with a configuration",
		Long: `Check reads a configuration as the daemon does. It tells every mistake at once,
as FILE:LINE:COLUMN, or else what is answered for. It needs no card and no
privilege; what can't be checked without the card it lists.

Exit status: 0 nothing is wrong (warnings are not), 2 something is.`,
		Example: `  ipalias check -c /etc/ipalias/ipalias.toml
  ipalias check -c howto.toml --json | jq '.interfaces[].labels[]'`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return check(e, file, asJSON) },
	}
	configFlag(cmd, &file)
	jsonFlag(cmd, &asJSON, `a JSON document: "ok", "errors", "warnings", "interfaces" and "unchecked"`)
	return cmd
}

func check(e env, file string, asJSON bool) error {
	cfg, wrong := loadConfig(file)
	// Only mistakes in the file are a report. Without a file there is nothing to report on.
	var mistakes config.Errors
	if wrong != nil && !errors.As(wrong, &mistakes) {
		return wrong // about the command line
	}
	// Lists are made empty, not nil, for whoever runs over them with jq.
	report := checkReport{File: file, OK: wrong == nil, Errors: config.Errors{}, Warnings: []config.Warning{}, Interfaces: []interfaceReport{}, Unchecked: []string{}}
	if wrong == nil {
		if err := report.fill(cfg); err != nil {
			return err
		}
	} else {
		report.Errors = mistakes
	}
	switch {
	case asJSON:
		if err := printJSON(e.stdout, report); err != nil {
			return err
		}
	// Mistakes are printed by run, to standard error, as those of every other command.
	case wrong == nil:
		return report.print(e.stdout)
	}
	return wrong
}

func (r *checkReport) fill(cfg *config.Config) error {
	r.Warnings = append(r.Warnings, cfg.Warnings...)
	r.Unchecked = append(r.Unchecked, cfg.Unchecked()...)
	// What is answered for is asked of the responder itself, not worked out again: reserved
	// addresses fall out there, and a count of ours would be another one sooner or later.
	table := responder.New(responder.Config{Workers: 1})
	for n := range cfg.Interfaces {
		i := &cfg.Interfaces[n]
		// One at a time: interfaces of different cards have nothing to do with each other.
		resolved := i.Resolve(config.Host{})
		if resolved.MAC == [6]byte{} {
			resolved.MAC = [6]byte{2} // the card's will take its place
		}
		if _, err := table.Publish([]responder.Interface{resolved}); err != nil {
			return fmt.Errorf("publish %s: %w", i.Name, err)
		}
		report := interfaceReport{Name: i.Name, Card: i.Card, VLANs: i.Tags, MTU: i.MTU, Network: i.Networks, Gateway: i.Gateways,
			Addresses: table.Size(i.Name), Labels: []labelReport{}}
		if i.MAC != [6]byte{} {
			report.MAC = net.HardwareAddr(i.MAC[:]).String()
		}
		for _, l := range table.Labels(i.Name) {
			label := labelReport{Label: l.Label, Addresses: l.Addresses, Ranges: []string{}}
			for _, r := range l.Ranges.All() {
				label.Ranges = append(label.Ranges, r.String())
			}
			report.Labels = append(report.Labels, label)
		}
		r.Interfaces = append(r.Interfaces, report)
	}
	return nil
}

func (r *checkReport) print(w io.Writer) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s: nothing wrong\n", r.File)
	for _, i := range r.Interfaces {
		i.print(&text)
	}
	if len(r.Warnings) > 0 {
		fmt.Fprintln(&text)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintf(&text, "%s: warning: %s\n", warning.Place, warning.Msg)
	}
	if len(r.Unchecked) > 0 {
		fmt.Fprintf(&text, "\nNot checked, since it takes the card:\n")
	}
	for _, u := range r.Unchecked {
		fmt.Fprintf(&text, "  %s\n", u)
	}
	_, err := w.Write(text.Bytes())
	return err
}

// maxRanges is how many ranges of a label are named in text: a line of a screen's width. show
// names as many; --json has them all.
const maxRanges = 4

func (i *interfaceReport) print(text *bytes.Buffer) {
	// Not the zero MAC, which is what the table here was tried with in its place.
	mac := i.MAC
	if mac == "" {
		mac = "the card's own MAC"
	}
	fmt.Fprintf(text, "\n%s answers with %s for %s\n", i.Name, mac, count(i.Addresses, "address", "addresses"))
	// By label and no more: one of a file of a million addresses is a line, not a million.
	labels := grid{titles: []string{"", ">", ""}}
	for _, l := range i.Labels {
		ranges := strings.Join(l.Ranges[:min(len(l.Ranges), maxRanges)], ", ")
		if more := len(l.Ranges) - maxRanges; more > 0 {
			ranges += fmt.Sprintf(" and %d more", more)
		}
		labels.add(l.Label, fmt.Sprint(l.Addresses), ranges)
	}
	labels.print(text, "  ")
}
