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

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
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
	// Of a history that was shortened.
	Commits  int `json:"commits,omitempty"`
	DaysKept int `json:"daysKept,omitempty"`
}

func repackCommand() *cobra.Command {
	var place offlineFlags
	var output, retention string
	var dry bool
	cmd := &cobra.Command{
		Use:   "repack",
		Short: "Make one small pack of a repository's history, while nobody serves it",
		Long: `Make one small pack of a repository's history, while nobody serves it.

What refs reach, and what the store still needs, is kept; records that a
checkpoint covers, and values that no commit names any more, are dropped. A
crash at any moment loses nothing: run it again.

With --config, the repository and what history is kept are those of the file.
With --retention, what is older than so many days goes first: history then ends
at the commits that Git's file "shallow" names, and of each day before one commit
is kept in refs/gitcd/checkpoints/heads/<branch>. There is no way back. It is
refused where histories are exchanged with others: merges need them.

A running gitcd repacks in the background by itself. To have it repack all at
once, ask it: etcdctl defrag. Exit code 4: damaged; nothing was changed.`,
		Example: `  gitcd repack --dir /var/lib/gitcd/repository.git
  gitcd repack --dir /var/lib/gitcd/repository.git --dry-run -o json
  gitcd repack --dir /var/lib/gitcd/repository.git --retention 30d
  gitcd repack --config /etc/gitcd/config.yaml
  git -C /var/lib/gitcd/repository.git log refs/gitcd/checkpoints/heads/main`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return &usageError{fmt.Errorf("--output is %q: give text or json", output)}
			}
			if err := place.load(); err != nil {
				return err
			}
			if place.config != nil && !cmd.Flags().Changed("retention") && !dry {
				retention = string(place.config.History.Retention)
			}
			dir := place.dir
			days, err := gitcdv1.Retention(retention).Days()
			switch {
			case err != nil:
				return &usageError{fmt.Errorf("--retention %w", err)}
			case days > 0 && dry:
				return &usageError{errors.New("--dry-run does not go with --retention: what goes is not known before history is shortened")}
			}
			if _, err := os.Stat(dir); err != nil {
				return fmt.Errorf("repack: %w", err)
			}
			r, err := repackOffline(cmd.Context(), dir, days, dry)
			if err != nil {
				return err
			}
			return r.print(cmd.OutOrStdout(), output, dir)
		},
	}
	f := cmd.Flags()
	place.add(f)
	f.StringVarP(&output, "output", "o", "text", "text or json")
	f.StringVar(&retention, "retention", string(gitcdv1.RetainAll), "All, or a number of days such as 30d; default: what --config says")
	f.BoolVar(&dry, "dry-run", false, "change nothing, and say what would come of it")
	return cmd
}

// repackOffline repacks a repository that nobody serves.
func repackOffline(ctx context.Context, dir string, days int, dry bool) (_ *repackReport, err error) {
	j, err := journal.Open(ctx, vfs.OS{}, dir, journal.Options{PublishInterval: -1, Keep: branch.Keep})
	if locked, ok := errors.AsType[*vfs.LockedError](err); ok {
		return nil, fmt.Errorf("%s is served by %s, which repacks in the background; to have it repack all now, run etcdctl defrag", dir, strings.TrimSpace(locked.Holder))
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close(context.WithoutCancel(ctx))) }()
	began := time.Now()
	var short journal.Shortened
	if days > 0 {
		if err := mayShorten(dir, j); err != nil {
			return nil, err
		}
		if short, err = j.Shorten(ctx, began.AddDate(0, 0, -days)); err != nil {
			return nil, err
		}
	}
	got, err := j.Repack(ctx, journal.Repacking{All: true, Now: true, DryRun: dry})
	if err != nil {
		return nil, err
	}
	h := j.History()
	return &repackReport{
		DryRun: dry, Packs: got.Packs, IntoPacks: got.IntoPacks, Bytes: got.Bytes, IntoBytes: got.IntoBytes,
		Kept: got.Kept, Dropped: got.Dropped, Seconds: time.Since(began).Seconds(),
		AllPacks: h.Packs, AllBytes: h.Bytes, Unfoldable: h.Waiting,
		Commits: short.Commits, DaysKept: short.Checkpoints,
	}, nil
}

// mayShorten refuses a repository whose history others merge with, or whose store was never saved.
func mayShorten(dir string, j *journal.Journal) error {
	for name := range j.Refs("refs/") {
		if !strings.HasPrefix(name, "refs/heads/") && !strings.HasPrefix(name, "refs/tags/") && !strings.HasPrefix(name, "refs/gitcd/checkpoints/") {
			return fmt.Errorf("%s has %s: its history is exchanged with others, and merges need it; repack without --retention", dir, name)
		}
	}
	payload, _, err := j.LastCheckpoint()
	if err == nil && payload == nil {
		err = fmt.Errorf("%s is a hub's, or was never served: there is no store's checkpoint in it; repack without --retention", dir)
	}
	return err
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
	if r.Commits > 0 {
		fmt.Fprintf(out, "history has %d commits; %d days before are kept in refs/gitcd/checkpoints\n", r.Commits, r.DaysKept)
	}
	if r.Unfoldable > 0 && !r.DryRun {
		fmt.Fprintf(out, "%d sealed segments hold records that no checkpoint covers: serve the repository, and stop it, then repack again\n", r.Unfoldable)
	}
	return nil
}
