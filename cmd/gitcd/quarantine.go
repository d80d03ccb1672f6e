// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

const (
	tableOutput = "table"
	jsonOutput  = "json"
)

func quarantineCommand() *cobra.Command {
	client, output := &hubClient{}, ""
	cmd := &cobra.Command{
		Use:   "quarantine",
		Short: "Look at, approve and reject changes that gates keep out of main",
		Long: `Look at, approve and reject changes that gates keep out of main.

A gate says what a branch may change. What is outside is not merged: it waits in
quarantine, on the branch quarantine/<branch> of the hub's repository, and the
heaven that made the change gets main's value back. A change of kind Outside is
against the gate's rules; one of kind Held is beyond a rate, such as too many
deletions in a minute.

Approving merges the change into main, whatever the gate says. Rejecting keeps it
out however often it is tried again. Who decided, and why, is written to Git. Only
hub-admin and the hub's approvers decide; the front door is one by default.`,
		Example: `  gitcd quarantine list --hub https://hub:8443 --ca ca.crt --cert hub-admin.crt --key hub-admin.key
  kubectl exec deploy/blue-apiserver -c gitcd -- gitcd quarantine list --config /etc/gitcd/config.yaml`,
		Args: cobra.NoArgs,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if output != tableOutput && output != jsonOutput {
				return &usageError{fmt.Errorf("--output %q: write table or json", output)}
			}
			return client.open()
		},
	}
	client.flags(cmd)
	cmd.PersistentFlags().StringVarP(&output, "output", "o", tableOutput, "table or json")
	cmd.AddCommand(
		quarantineList(client, &output), quarantineShow(client, &output),
		quarantineDecide(client, &output, hub.Approve), quarantineDecide(client, &output, hub.Reject),
	)
	return cmd
}

func quarantineList(client *hubClient, output *string) *cobra.Command {
	return &cobra.Command{
		Use:   "list [branch]",
		Short: "List what is in quarantine, of one branch or of all; what waits comes first",
		Example: `  gitcd quarantine list --config /etc/gitcd/config.yaml
  gitcd quarantine list nodes/w1 --config /etc/gitcd/config.yaml -o json`,
		Args: maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{}
			if len(args) > 0 {
				query.Set("branch", args[0])
			}
			body, err := client.ask(cmd.Context(), http.MethodGet, "/v1/quarantine?"+query.Encode(), nil)
			if err != nil {
				return err
			}
			var entries []*hub.Quarantined
			if err := json.Unmarshal(body, &entries); err != nil {
				return fmt.Errorf("read the hub's answer: %w", err)
			}
			return printQuarantine(cmd.OutOrStdout(), *output, entries, body)
		},
	}
}

func quarantineShow(client *hubClient, output *string) *cobra.Command {
	return &cobra.Command{
		Use:     "show <branch> <key>",
		Short:   "Show one change, with main's value and the one that was refused",
		Example: `  gitcd quarantine show nodes/w1 /registry/minions/w2 --config /etc/gitcd/config.yaml`,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"branch": {args[0]}, "key": {args[1]}}
			body, err := client.ask(cmd.Context(), http.MethodGet, "/v1/quarantine?"+query.Encode(), nil)
			if err != nil {
				return err
			}
			var shown hub.ShownQuarantined
			if err := json.Unmarshal(body, &shown); err != nil {
				return fmt.Errorf("read the hub's answer: %w", err)
			}
			if *output == jsonOutput {
				return printJSON(cmd.OutOrStdout(), body)
			}
			return printShown(cmd.OutOrStdout(), &shown)
		},
	}
}

func quarantineDecide(client *hubClient, output *string, action hub.Action) *cobra.Command {
	what := hub.Ruling{Action: action}
	short := "Merge changes into main that a gate kept out"
	if action == hub.Reject {
		short = "Keep changes out of main for good"
	}
	cmd := &cobra.Command{
		Use:   string(action) + " <branch> <key>... | " + string(action) + " <branch> --all",
		Short: short,
		Example: fmt.Sprintf(`  gitcd quarantine %[1]s nodes/w1 /registry/minions/w2 --reason "seen, expected" --config /etc/gitcd/config.yaml
  gitcd quarantine %[1]s heavens/kube-controller-manager --all --config /etc/gitcd/config.yaml`, action),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 || (len(args) > 1) == what.All {
				return &usageError{errors.New("name a branch, and keys or --all")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			what.Branch, what.Keys = args[0], args[1:]
			body, err := client.ask(cmd.Context(), http.MethodPost, "/v1/quarantine", what)
			if err != nil {
				return err
			}
			var ruled hub.Ruled
			if err := json.Unmarshal(body, &ruled); err != nil {
				return fmt.Errorf("read the hub's answer: %w", err)
			}
			if *output == jsonOutput {
				return printJSON(cmd.OutOrStdout(), body)
			}
			done := map[hub.Action]string{hub.Approve: "approved", hub.Reject: "rejected"}[action]
			for _, q := range ruled.Entries {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s %s of %s\n", done, q.Verb, q.Key, q.Branch)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&what.All, "all", false, "all changes of the branch that wait")
	cmd.Flags().StringVar(&what.Reason, "reason", "", "why, in one line: it is written to Git")
	return cmd
}

// maxArgs and exactArgs are cobra's, with the exit code of wrong usage.
func maxArgs(n int) cobra.PositionalArgs { return usage(cobra.MaximumNArgs(n)) }

func exactArgs(n int) cobra.PositionalArgs { return usage(cobra.ExactArgs(n)) }

func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
		}
		return nil
	}
}

func printQuarantine(out io.Writer, form string, entries []*hub.Quarantined, body []byte) error {
	if form == jsonOutput {
		return printJSON(out, body)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATE\tKIND\tBRANCH\tVERB\tKEY\tSINCE\tATTEMPTS\tREASON")
	for _, q := range entries {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", q.State, q.Kind, q.Branch, q.Verb, q.Key, q.Since.Format(time.RFC3339), q.Attempts, q.Reason)
	}
	return w.Flush()
}

func printShown(out io.Writer, q *hub.ShownQuarantined) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name string, value any) { fmt.Fprintf(w, "%s:\t%v\n", name, value) }
	row("Branch", q.Branch)
	row("Key", q.Key)
	row("Verb", q.Verb)
	row("State", q.State)
	if q.By != "" {
		row("Rejected by", q.By+" "+q.Why)
	}
	row("Kind", q.Kind)
	row("Reason", q.Reason)
	row("Since", q.Since.Format(time.RFC3339))
	row("Last", q.Last.Format(time.RFC3339))
	row("Attempts", q.Attempts)
	row("Commit", q.Commit)
	if err := w.Flush(); err != nil {
		return err
	}
	for _, v := range []struct {
		title string
		value json.RawMessage
		there bool
	}{{"Value in main", q.OldValue, q.Old != nil}, {"Value refused", q.NewValue, q.New != nil}} {
		fmt.Fprintf(out, "\n%s:\n", v.title)
		switch {
		case !v.there:
			fmt.Fprintln(out, "(none)")
		case v.value == nil:
			fmt.Fprintln(out, "(not shown: it may be a secret, or is not JSON)")
		default:
			if err := printJSON(out, v.value); err != nil {
				return err
			}
		}
	}
	return nil
}

func printJSON(out io.Writer, data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return fmt.Errorf("read the hub's answer: %w", err)
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
