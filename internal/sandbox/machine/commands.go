// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Commands returns "machine", for people, and the hidden command that becomes
// PID 1 of a machine. The options are asked for when a command runs, so that the
// caller's flags have been read by then.
func Commands(options func() (Options, error)) []*cobra.Command {
	c := commands{fleet: func() (*Fleet, error) {
		o, err := options()
		if err != nil {
			return nil, err
		}
		return New(o)
	}}
	machine := &cobra.Command{
		Use:   "machine",
		Short: "Stand-ins for virtual machines that run real user data",
	}
	machine.AddCommand(c.create(), c.list(), c.delete(), c.exec(), c.logs(), c.watch())
	return []*cobra.Command{machine, {
		Use:    initCommand + " DIRECTORY",
		Short:  "Become the first process of a machine",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			if os.Getpid() != 1 {
				return errors.New("this is started by `machine create`, as the first process of a machine")
			}
			return Init(args[0])
		},
	}}
}

type commands struct {
	fleet func() (*Fleet, error)
}

func (c commands) create() *cobra.Command {
	var userData string
	var reach []string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a machine that runs the given user data",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&userData, "user-data", "", "file with cloud-init user data")
	cmd.Flags().StringArrayVar(&reach, "reach", nil, "address:port that the machine may open connections to; repeat for more")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cmd.SilenceUsage = true
		fleet, err := c.fleet()
		if err != nil {
			return err
		}
		s := Spec{Name: args[0]}
		if userData != "" {
			if s.UserData, err = os.ReadFile(userData); err != nil {
				return fmt.Errorf("read user data: %w", err)
			}
		}
		for _, r := range reach {
			a, parseErr := netip.ParseAddrPort(r)
			if parseErr != nil {
				return fmt.Errorf("read --reach: %w", parseErr)
			}
			s.Reach = append(s.Reach, a)
		}
		m, err := fleet.Create(cmd.Context(), s)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "machine %s runs at %s, its disk is %s\n", m.Name, m.Address, filepath.Join(m.Dir, "root"))
		return err
	}
	return cmd
}

func (c commands) list() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the machines",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			fleet, err := c.fleet()
			if err != nil {
				return err
			}
			all, err := fleet.List()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "NAME\tADDRESS\tRUNNING\tPID\tDIRECTORY") // Flush reports what fails
			for _, m := range all {
				_, _ = fmt.Fprintf(w, "%s\t%s\t%t\t%d\t%s\n", m.Name, m.Address, m.Running(), m.PID, m.Dir)
			}
			return w.Flush()
		},
	}
}

func (c commands) delete() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "delete [NAME...]",
		Short: "End machines and remove everything of them",
	}
	cmd.Flags().BoolVar(&all, "all", false, "delete every machine")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cmd.SilenceUsage = true
		fleet, err := c.fleet()
		if err != nil {
			return err
		}
		if all {
			return fleet.DeleteAll(cmd.Context())
		}
		for _, name := range args {
			if err := fleet.Delete(cmd.Context(), name); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

func (c commands) exec() *cobra.Command {
	return &cobra.Command{
		Use:   "exec NAME -- COMMAND [ARGUMENT...]",
		Short: "Run a program inside a machine",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			fleet, err := c.fleet()
			if err != nil {
				return err
			}
			return fleet.Exec(cmd.Context(), args[0], Streams{In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}, args[1:]...)
		},
	}
}

func (c commands) logs() *cobra.Command {
	var unit string
	cmd := &cobra.Command{
		Use:   "logs NAME",
		Short: "Show a machine's journal, also when it does not run",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&unit, "unit", "u", "", "only this unit")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cmd.SilenceUsage = true
		fleet, err := c.fleet()
		if err != nil {
			return err
		}
		return fleet.Journal(cmd.Context(), args[0], unit, cmd.OutOrStdout())
	}
	return cmd
}

func (c commands) watch() *cobra.Command {
	var kubeconfig, namespace string
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Bring a machine for each GitBackedMachine that waits for one, until interrupted",
		Args:  cobra.NoArgs,
	}
	cmd.Flags().StringVar(&kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "how to reach the host cluster")
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "only machines of this namespace")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cmd.SilenceUsage = true
		fleet, err := c.fleet()
		if err != nil {
			return err
		}
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return fmt.Errorf("read kubeconfig: %w (give --kubeconfig)", err)
		}
		scheme, err := Scheme()
		if err != nil {
			return err
		}
		host, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
		if err != nil {
			return fmt.Errorf("connect to host cluster: %w", err)
		}
		return fleet.Watch(cmd.Context(), host, WatchOptions{Namespace: namespace, Log: cmd.OutOrStdout()})
	}
	return cmd
}
