// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// repackReport is what gitcd repack prints.
type repackReport struct {
	DryRun     bool    `json:"dryRun,omitempty"`
	Packs      int     `json:"packs"`
	IntoPacks  int     `json:"intoPacks"`
	Bytes      int64   `json:"bytes"`
	IntoBytes  int64   `json:"intoBytes"`
	Kept       int     `json:"keptObjects"`
	Dropped    int     `json:"droppedObjects"`
	Seconds    float64 `json:"seconds"`
	AllPacks   int     `json:"allPacks"`
	AllBytes   int64   `json:"allBytes"`
	Unfoldable int     `json:"segmentsWithoutCheckpoint"`
}

func repackCommand() *cobra.Command {
	var dir, output string
	var dry bool
	cmd := &cobra.Command{
		Use:   "repack",
		Short: "Make one small pack of a repository's history, while nobody serves it",
		Long: `Make one small pack of a repository's history, while nobody serves it.

What refs reach, and what the store still needs, is kept; records that a
checkpoint covers, and values that no commit names any more, are dropped. A
crash at any moment loses nothing: run it again.

A running gitcd repacks in the background by itself. To have it repack all at
once, ask it: etcdctl defrag. Exit code 4: damaged; nothing was changed.`,
		Example: `  gitcd repack --dir /var/lib/gitcd/repository.git
  gitcd repack --dir /var/lib/gitcd/repository.git --dry-run -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case dir == "":
				return &usageError{errors.New("--dir is missing: give the repository's directory")}
			case output != "text" && output != "json":
				return &usageError{fmt.Errorf("--output is %q: give text or json", output)}
			}
			if _, err := os.Stat(dir); err != nil {
				return fmt.Errorf("repack: %w", err)
			}
			r, err := repackOffline(cmd.Context(), dir, dry)
			if err != nil {
				return err
			}
			return r.print(cmd.OutOrStdout(), output, dir)
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", "", "directory of the repository")
	f.StringVarP(&output, "output", "o", "text", "text or json")
	f.BoolVar(&dry, "dry-run", false, "change nothing, and say what would come of it")
	return cmd
}

// repackOffline repacks a repository that nobody serves.
func repackOffline(ctx context.Context, dir string, dry bool) (_ *repackReport, err error) {
	j, err := journal.Open(ctx, vfs.OS{}, dir, journal.Options{PublishInterval: -1, Keep: branch.Keep})
	if locked, ok := errors.AsType[*vfs.LockedError](err); ok {
		return nil, fmt.Errorf("%s is served by %s, which repacks in the background; to have it repack all now, run etcdctl defrag", dir, strings.TrimSpace(locked.Holder))
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close(context.WithoutCancel(ctx))) }()
	began := time.Now()
	got, err := j.Repack(ctx, journal.Repacking{All: true, Now: true, DryRun: dry})
	if err != nil {
		return nil, err
	}
	h := j.History()
	return &repackReport{
		DryRun: dry, Packs: got.Packs, IntoPacks: got.IntoPacks, Bytes: got.Bytes, IntoBytes: got.IntoBytes,
		Kept: got.Kept, Dropped: got.Dropped, Seconds: time.Since(began).Seconds(),
		AllPacks: h.Packs, AllBytes: h.Bytes, Unfoldable: h.Waiting,
	}, nil
}

func (r *repackReport) print(out io.Writer, format, dir string) error {
	if format == "json" {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	verb := "made"
	if r.DryRun {
		verb = "would make"
	}
	if r.Packs == 0 {
		fmt.Fprintf(out, "%s: there is nothing to fold: %d packs, %d bytes\n", dir, r.AllPacks, r.AllBytes)
	} else {
		fmt.Fprintf(out, "%s: %s %d packs of %d bytes into %d of %d, in %.1f s: %d objects kept, %d dropped\n",
			dir, verb, r.Packs, r.Bytes, r.IntoPacks, r.IntoBytes, r.Seconds, r.Kept, r.Dropped)
	}
	if r.Unfoldable > 0 && !r.DryRun {
		fmt.Fprintf(out, "%d sealed segments hold records that no checkpoint covers: serve the repository, and stop it, then repack again\n", r.Unfoldable)
	}
	return nil
}
