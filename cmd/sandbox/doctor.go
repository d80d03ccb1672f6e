// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/doctor"
)

func newDoctor(f *flags) *cobra.Command {
	var install bool
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "Look whether this machine can carry the host; exit code 1 if not",
		Example: "  sandbox doctor\n  sudo sandbox doctor --install",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if install {
				if err := needRoot(); err != nil {
					return err
				}
				if err := doctor.Install(cmd.Context(), f.narrator(cmd).Sayf); err != nil {
					return err
				}
			}
			found := doctor.Check(cmd.Context(), f.config)
			var err error
			if f.output == "json" {
				err = printJSON(cmd, found)
			} else {
				err = printFindings(cmd, found)
			}
			if err != nil {
				return err
			}
			return doctor.Verdict(found)
		},
	}
	cmd.Flags().BoolVar(&install, "install", false, "install the Debian packages that are missing")
	return cmd
}

func printFindings(cmd *cobra.Command, found []doctor.Finding) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	for _, d := range found {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\n", age(d.OK, "ok", "FAULT"), d.Name, d.Detail)
		if !d.OK {
			_, _ = fmt.Fprintf(w, "\t\tmend: %s\n", d.Mend)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
