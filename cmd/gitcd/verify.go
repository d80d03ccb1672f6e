// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// finding is a law that does not hold.
type finding struct {
	Law   string `json:"law"`
	Where string `json:"where"`
}

func verifyCommand() *cobra.Command {
	var dir, output string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check every law of a repository that nobody serves",
		Long: `Check every law of a repository, and name the ones that do not hold with file
and offset. The laws are those of docs/formats/journal.md. Exit code 4: damaged.`,
		Example: "  gitcd verify --dir /var/lib/gitcd/repository.git",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return &usageError{fmt.Errorf("--dir is missing: give the repository's directory")}
			}
			found := []finding{}
			err := branch.Check(cmd.Context(), vfs.OS{}, dir, mvcc.Options{}, func(law, where string) { found = append(found, finding{law, where}) })
			if err != nil {
				return err
			}
			if err := printFindings(cmd.OutOrStdout(), output, dir, found); err != nil {
				return err
			}
			if len(found) > 0 {
				return fmt.Errorf("%s: %d laws are broken: %w", dir, len(found), journal.ErrCorrupt)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory of the repository")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func printFindings(out io.Writer, format, dir string, found []finding) error {
	if format == "json" {
		return json.NewEncoder(out).Encode(found)
	}
	for _, f := range found {
		fmt.Fprintf(out, "%s: %s\n", f.Law, f.Where)
	}
	if len(found) == 0 {
		fmt.Fprintf(out, "%s: all laws hold\n", dir)
	}
	return nil
}
