// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Command sandbox makes a one-machine Kubernetes host out of Go modules and
// Debian packages, and walks the whole story of a headless cluster on it.
//
// Exit codes: 0 done; 1 something failed, and the last lines say what and what
// to do; 2 the command line was wrong.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/host"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/machine"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

// version is set by the build.
var version = sandbox.Version

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(errOut, "error: %v\n", err)
		return exitUsage
	default:
		narrate.Explain(errOut, err)
		return exitFailed
	}
}

// usageError is a wrong command line.
type usageError struct{ error }

func (u *usageError) Unwrap() error { return u.error }

// flags are what every command knows.
type flags struct {
	config sandbox.Config
	output string
}

func newRoot() *cobra.Command {
	f := &flags{}
	root := &cobra.Command{
		Use:           "sandbox",
		Version:       version,
		Short:         "A one-machine Kubernetes host for headless clusters",
		SilenceErrors: true, SilenceUsage: true,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	p := root.PersistentFlags()
	p.StringVar(&f.config.Name, "name", "", "the host's name: its namespace, cgroup, interface and node (default "+sandbox.DefaultName+")")
	p.StringVar(&f.config.StateDir, "state-dir", "", "where all state lies (default $"+sandbox.EnvStateDir+" or "+sandbox.DefaultStateDir+")")
	p.StringVar(&f.config.BinDir, "bin-dir", "", "where the binaries lie (default $"+sandbox.EnvBinDir+" or beside this one)")
	p.StringVar(&f.config.Network, "network", "", "the first of three /16 networks that the host takes (default "+sandbox.DefaultNetwork+")")
	p.StringVar(&f.config.Store, "store", "", "what the host's API server keeps its objects in: gitcd, or etcd (make build-peers) to compare with (default gitcd)")
	p.StringVarP(&f.output, "output", "o", "text", "text or json, where a command prints data")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if f.output != "text" && f.output != "json" {
			return &usageError{fmt.Errorf("--output %q: use text or json", f.output)}
		}
		var err error
		if f.config, err = f.config.Complete(); err != nil {
			return &usageError{err}
		}
		return nil
	}
	root.AddCommand(newDoctor(f), newUp(f), newDown(f), newStatus(f), newImages(f), newBuild(f), newQuickstart(f), newSupervise(f), newGate(f), newProvision(f))
	root.AddCommand(machine.Commands(func() (machine.Options, error) { return host.MachineOptions(f.config) })...)
	return root
}

// noArgs refuses arguments, as a wrong command line.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return &usageError{err}
	}
	return nil
}

// narrator tells on the command's stderr if its stdout is for data.
func (f *flags) narrator(cmd *cobra.Command) *narrate.Narrator {
	out := cmd.OutOrStdout()
	if f.output == "json" {
		out = cmd.ErrOrStderr()
	}
	return narrate.New(out, clock.RealClock{})
}

func (f *flags) host(cmd *cobra.Command) *host.Host {
	return &host.Host{Config: f.config, Tell: f.narrator(cmd), Clock: clock.RealClock{}}
}

// needRoot refuses to start what only root can do.
func needRoot() error {
	if os.Geteuid() != 0 {
		return narrate.Mend(errors.New("this needs root: it makes network namespaces, mounts and cgroups"), "run it with sudo")
	}
	return nil
}

// printJSON prints data for machines.
func printJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
