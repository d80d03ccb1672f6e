// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Command gitcd is an etcd v3 server that keeps its keys in a Git repository,
// and the hub that joins the branches of such servers. It only wires the rooms
// below internal/gitcd together.
//
// Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 the branch
// has another writer now; 4 the repository is damaged.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
)

// version is set when linking.
var version = "unknown"

const (
	exitFailed  = 1
	exitUsage   = 2
	exitFenced  = 3
	exitCorrupt = 4
)

// usageError is wrong usage or configuration.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func main() {
	tuneGC()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	cmd := root()
	if calledEtcd(os.Args[0]) {
		cmd.SetArgs(append([]string{etcdName}, os.Args[1:]...))
	}
	err := cmd.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gitcd:", err)
		os.Exit(exitCode(err))
	}
}

func exitCode(err error) int {
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, exchange.ErrFenced):
		return exitFenced
	case errors.Is(err, journal.ErrCorrupt), errors.Is(err, snapshot.ErrMalformed):
		return exitCorrupt
	default:
		return exitFailed
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "gitcd",
		Short:         "An etcd v3 server whose keys are files in a Git repository",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	cmd.AddCommand(serveCommand(), initCommand(), pullCommand(), hubCommand(), quarantineCommand(), conflictsCommand(), verifyCommand(), statusCommand(), etcdCommand(), restoreCommand(), dumpCommand(), repackCommand(), versionCommand())
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run:   func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version) },
	}
}
