// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	var addr, output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Print what a running gitcd says of itself; fail if it takes no writes",
		Long: `Print what a running gitcd says of its branches. With -o table there is a line
for each branch, with -o json everything. Fails if a branch takes no writes.`,
		Example: `  gitcd status --address 127.0.0.1:2381
  gitcd status -o table`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "json" && output != "table" {
				return &usageError{fmt.Errorf("--output %q: write json or table", output)}
			}
			r, body, err := askStatus(cmd.Context(), addr)
			if err != nil {
				return err
			}
			branches := r.Branches
			if len(branches) == 0 {
				branches = []report{*r}
			}
			if output == "json" {
				_, err = cmd.OutOrStdout().Write(body)
			} else {
				err = printStatus(cmd.OutOrStdout(), branches)
			}
			if err != nil {
				return fmt.Errorf("print status: %w", err)
			}
			var broken []error
			for _, b := range branches {
				if b.Store != nil && b.Store.Error != "" {
					broken = append(broken, fmt.Errorf("branch %s takes no writes: %s", b.Branch, b.Store.Error))
				}
			}
			return errors.Join(broken...)
		},
	}
	cmd.Flags().StringVar(&addr, "address", "127.0.0.1:2381", "the status listener")
	cmd.Flags().StringVarP(&output, "output", "o", "json", "json or table")
	return cmd
}

func askStatus(ctx context.Context, addr string) (*report, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/status", http.NoBody)
	if err != nil {
		return nil, nil, &usageError{err}
	}
	resp, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return nil, nil, fmt.Errorf("ask gitcd: %w; is it running with statusListen %s?", err, addr)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, nil, fmt.Errorf("ask gitcd: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("ask gitcd: %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	r := &report{}
	if err := json.Unmarshal(body, r); err != nil {
		return nil, nil, fmt.Errorf("ask gitcd: read its answer: %w", err)
	}
	return r, body, nil
}

func printStatus(out io.Writer, branches []report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "BRANCH\tREVISION\tCOMPACTED\tKEYS\tUNCOMMITTED\tHEAD\tTAKES WRITES")
	for _, b := range branches {
		s := b.Store
		if s == nil {
			continue
		}
		takes := "yes"
		if s.Error != "" {
			takes = "no"
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%.10s\t%s\n", b.Branch, s.Revision, s.Compacted, s.Keys, s.Uncommitted, s.Head, takes)
	}
	return w.Flush()
}
