// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
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
	var place offlineFlags
	var output string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check every law of a repository that nobody serves",
		Long: `Check every law of a repository, and name the ones that do not hold with file
and offset. The laws are those of docs/formats/journal.md. Commits are derived again
and trees compared with the keys: that needs to know what the server knows, so
give the file that it is served with. Exit code 2: keys lie elsewhere than was
said; 4: damaged.`,
		Example: `  gitcd verify --dir /var/lib/gitcd/repository.git
  gitcd verify --config /etc/gitcd/config.yaml
  gitcd verify --config /etc/gitcd/config.yaml --dir /backup/repository.git
  gitcd verify --dir /var/lib/store.git --key-prefix /=clusters/blue/`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := place.load(); err != nil {
				return err
			}
			found := []finding{}
			err := branch.Check(cmd.Context(), vfs.OS{}, place.dir, place.of, func(law, where string) { found = append(found, finding{law, where}) })
			if err != nil && (!errors.Is(err, mvcc.ErrOtherKeys) || len(found) == 0) {
				return elsewhere(err)
			}
			if err := printFindings(cmd.OutOrStdout(), output, place.dir, found); err != nil {
				return err
			}
			if len(found) > 0 {
				return errors.Join(fmt.Errorf("%s: %d laws are broken: %w", place.dir, len(found), journal.ErrCorrupt), err)
			}
			return nil
		},
	}
	place.add(cmd.Flags())
	place.addKeys(cmd.Flags())
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
