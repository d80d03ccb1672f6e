// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/conflict"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

// conflictSource is where conflicts are on record: a hub, or a directory.
type conflictSource interface {
	// list returns the open ones, or all.
	list(ctx context.Context, all bool) ([]hub.ListedConflict, error)
	// show returns the one whose id begins so, with the whole values.
	show(ctx context.Context, id string) (hub.ListedConflict, error)
	// taken returns nil if the other side's value is the one that stands now.
	taken(ctx context.Context, c hub.ListedConflict) error
	// resolve writes down what a person decided.
	resolve(ctx context.Context, id string, how conflict.Resolution) (hub.ListedConflict, error)
}

// conflictOptions are the flags of gitcd conflicts.
type conflictOptions struct {
	client hubClient
	dir    string
	output string
}

func conflictsCommand() *cobra.Command {
	o := &conflictOptions{}
	cmd := &cobra.Command{
		Use:   "conflicts",
		Short: "List, show and resolve the conflicts that merges have put on record",
		Long: `List, show and resolve the conflicts that merges have put on record.

Where two branches changed one field to different values, a merge decides by a rule
and records what it did not take. Both sides stay reachable in Git. A conflict is
open until a person resolves it: by letting it stand, or by taking the other side's
value. The record stays, with who resolved it, when and how.

--dir reads any clone, bare or not, also one that is being served, with the git
program. --hub, or --config of a heaven, asks the hub. Only hub-admin and the hub's
approvers resolve there; the front door is one by default.

Exit code 1: it failed, or there is no such conflict; 2: wrong usage.`,
		Example: `  kubectl exec deploy/blue-apiserver -c gitcd -- gitcd conflicts list --config /etc/gitcd/config.yaml
  gitcd conflicts list --dir ./clone --all -o json
  gitcd conflicts show 2886f83c --dir ./clone
  gitcd conflicts resolve 2886f83c --hub https://hub:8443 --ca ca.crt --cert hub-admin.crt --key hub-admin.key`,
		Args: cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if o.output != tableOutput && o.output != jsonOutput {
				return &usageError{fmt.Errorf("--output %q: write table or json", o.output)}
			}
			if o.dir == "" {
				return o.client.open()
			}
			if o.client.config != "" || o.client.url != "" {
				return &usageError{errors.New("--dir does not go with --hub or --config: the conflicts are in one place")}
			}
			return nil
		},
	}
	o.client.flags(cmd)
	cmd.PersistentFlags().StringVar(&o.dir, "dir", "", "directory of a Git repository")
	cmd.PersistentFlags().StringVarP(&o.output, "output", "o", tableOutput, "table or json")
	cmd.AddCommand(conflictsList(o), conflictsShow(o), conflictsResolve(o))
	return cmd
}

func (o *conflictOptions) source() conflictSource {
	if o.dir != "" {
		return &gitConflicts{dir: o.dir}
	}
	return &hubConflicts{client: &o.client}
}

// place is where the conflicts are, in flags.
func (o *conflictOptions) place() string {
	switch {
	case o.dir != "":
		return "--dir " + o.dir
	case o.client.config != "":
		return "--config " + o.client.config
	default:
		return fmt.Sprintf("--hub %s --ca %s --cert %s --key %s", o.client.url, o.client.ca, o.client.cert, o.client.key)
	}
}

func conflictsList(o *conflictOptions) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the open conflicts, the latest last",
		Example: `  gitcd conflicts list --config /etc/gitcd/config.yaml
  gitcd conflicts list --dir /var/lib/gitcd/repository.git --all -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, err := o.source().list(cmd.Context(), all)
			if err != nil {
				return err
			}
			return printConflicts(cmd.OutOrStdout(), o.output, found)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "the resolved ones, too")
	return cmd
}

func conflictsShow(o *conflictOptions) *cobra.Command {
	side := ""
	cmd := &cobra.Command{
		Use:   "show <id>",
		Short: "Show one conflict with its sides; the beginning of the id is enough",
		Example: `  gitcd conflicts show 2886f83c --config /etc/gitcd/config.yaml
  gitcd conflicts show 2886f83c --dir ./clone --side other | kubectl replace -f -`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.source().show(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if side != "" {
				return printSide(cmd.OutOrStdout(), c, side)
			}
			if o.output == jsonOutput {
				return writeJSON(cmd.OutOrStdout(), c)
			}
			return describeConflict(cmd.OutOrStdout(), c)
		},
	}
	cmd.Flags().StringVar(&side, "side", "", "the whole value of one side alone: base, ours, theirs, stands or other")
	return cmd
}

func printConflicts(out io.Writer, output string, found []hub.ListedConflict) error {
	if output == jsonOutput {
		for _, c := range found {
			if err := json.NewEncoder(out).Encode(c); err != nil {
				return fmt.Errorf("print conflicts: %w", err)
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tWHEN\tKEY\tFIELD\tSTANDS\tNOT TAKEN\tRULE\tRESOLVED")
	for _, c := range found {
		r := c.Record
		by := ""
		if r.Resolved != nil {
			by = fmt.Sprintf("%s by %s", r.Resolved.Decision, r.Resolved.By)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			c.ID, r.When.UTC().Format(time.RFC3339), r.Key, r.Path, r.Winner().Branch, r.Other().Branch, r.Why, by)
	}
	return w.Flush()
}

func describeConflict(out io.Writer, c hub.ListedConflict) error {
	r := c.Record
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "conflict\t%s\nkey\t%s\nfield\t%s\nrule\t%s: %s\nmerged\t%s by %s\n", c.ID, r.Key, orWhole(r.Path), r.Why, r.Reason, r.When.UTC().Format(time.RFC3339), r.Who)
	for _, s := range []struct {
		name string
		side conflict.Side
	}{{"stands", r.Winner()}, {"not taken", r.Other()}, {"base", r.Base}} {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.name, s.side.Branch, sayValue(s.side))
	}
	if d := r.Resolved; d != nil {
		fmt.Fprintf(w, "resolved\t%s by %s at %s %s\n", d.Decision, d.By, d.When.Format(time.RFC3339), d.Note)
	}
	return w.Flush()
}

func orWhole(path string) string {
	if path == "" {
		return "(the whole value)"
	}
	return path
}

// sayValue says what a side had, and where Git has it.
func sayValue(s conflict.Side) string {
	text := string(s.Value)
	switch {
	case s.Hidden:
		text = "(hidden)"
	case s.Blob == nil:
		text = "(nothing)"
	case s.Value == nil:
		text = "(see the blob)"
	}
	if s.Blob != nil {
		text += "  blob " + s.Blob.String()
	}
	if s.Commit != nil {
		text += "  commit " + s.Commit.String()
	}
	return text
}

func printSide(out io.Writer, c hub.ListedConflict, side string) error {
	value, ok := map[string]json.RawMessage{
		"base": c.Base, "ours": c.Ours, "theirs": c.Theirs, "stands": wholeOf(c, c.Record.Took == "ours"), "other": wholeOf(c, c.Record.Took != "ours"),
	}[side]
	switch {
	case !ok:
		return &usageError{fmt.Errorf("--side %q: write base, ours, theirs, stands or other", side)}
	case value == nil:
		return fmt.Errorf("show conflict %s: that side had no value, or it is hidden; the record names the blob", c.ID)
	}
	return writeJSON(out, value)
}

func wholeOf(c hub.ListedConflict, ours bool) json.RawMessage {
	if ours {
		return c.Ours
	}
	return c.Theirs
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
