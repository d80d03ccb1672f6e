// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/host"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/provisioner"
)

func newUp(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "up",
		Short: "Bring the host up",
		Long: `Bring a one-node Kubernetes host up in a network namespace of its own.
It can be repeated: what runs and has not changed is left alone.`,
		Example: "  sandbox up\n  export KUBECONFIG=/var/lib/headless-sandbox/kubeconfig",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			release, err := host.Lock(cmd.Context(), f.config)
			if err != nil {
				return err
			}
			defer release()
			h := f.host(cmd)
			if err := h.Up(cmd.Context()); err != nil {
				return err
			}
			h.Tell.Sayf("the host is up: export KUBECONFIG=%s", f.config.Kubeconfig())
			if f.output == "json" {
				return printJSON(cmd, map[string]any{"kubeconfig": f.config.Kubeconfig(), "steps": h.Tell.Steps()})
			}
			return nil
		},
	}
}

func newDown(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Remove the host and all it made, and nothing else",
		Long: `Stop the host's components, end every process of its cgroup, remove its network
namespace, its interface, its routes and its state directory, and look for leftovers.
Images and binaries belong to the checkout and stay.`,
		Example: "  sandbox down",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needRoot(); err != nil {
				return err
			}
			release, err := host.Lock(cmd.Context(), f.config)
			if err != nil {
				return err
			}
			defer release()
			h := f.host(cmd)
			if err := h.Down(cmd.Context()); err != nil {
				return err
			}
			if f.output == "json" {
				return printJSON(cmd, map[string]any{"leftovers": []string{}, "steps": h.Tell.Steps()})
			}
			return nil
		},
	}
}

func newStatus(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show the host's components; exit code 1 if one is not ready",
		Example: "  sandbox status\n  sandbox status -o json | jq '.components[] | {name, phase}'",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := host.ReadStatus(f.config)
			if err != nil {
				return err
			}
			if f.output == "json" {
				err = printJSON(cmd, s)
			} else {
				err = printStatus(cmd, s)
			}
			if err == nil && !s.Up {
				return errors.New("the host is not up: run `sandbox up`")
			}
			return err
		},
	}
}

func printStatus(cmd *cobra.Command, s host.Status) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "COMPONENT\tPHASE\tSINCE\tPID\tRESTARTS\tMEMORY\tLOG")
	for _, c := range s.Components {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d MiB\t%s\n", c.Name, c.Phase, time.Since(c.Since).Round(time.Second), c.PID, c.Restarts, c.ResidentBytes>>20, c.Log)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func newSupervise(f *flags) *cobra.Command {
	var machines bool
	cmd := &cobra.Command{
		Use:    "supervise",
		Short:  "Keep the host's components running (started by up)",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if machines {
				return host.SuperviseMachines(cmd.Context(), f.config, clock.RealClock{})
			}
			return host.Supervise(cmd.Context(), f.config, clock.RealClock{})
		},
	}
	cmd.Flags().BoolVar(&machines, "machines", false, "keep the watch for sandbox machines running instead")
	return cmd
}

func newGate(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:    "gate",
		Short:  "Carry machines' connections to a hub beyond this machine (started by quickstart)",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return gate.Run(cmd.Context(), f.config, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		},
	}
}

func newProvision(_ *flags) *cobra.Command {
	var kubeconfig string
	p := &provisioner.HostPath{}
	cmd := &cobra.Command{
		Use:    "provision",
		Short:  "Make hostPath volumes for claims (started by the supervisor)",
		Hidden: true,
		Args:   noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return provisioner.Run(cmd.Context(), kubeconfig, p)
		},
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	cmd.Flags().StringVar(&p.Root, "root", "", "where volumes lie")
	cmd.Flags().StringVar(&p.Node, "node", "", "the node they belong to")
	return cmd
}
