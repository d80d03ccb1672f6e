// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/build"
)

func newBuild(f *flags) *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:   "build [binary ...]",
		Short: "Build the binaries that are missing or have changed",
		Long: `Build our binaries and, from their published Go modules, those that the sandbox
runs unmodified. What has been built from the same modules is not looked at again.`,
		Example: "  sandbox build\n  sandbox build gitcd manager\n  sandbox build golangci-lint",
		RunE: func(cmd *cobra.Command, args []string) error {
			if root == "" {
				root = filepath.Dir(f.config.BinDir)
			}
			tell := f.narrator(cmd)
			err := build.All(cmd.Context(), build.Options{Root: root, BinDir: f.config.BinDir, Tell: tell}, args...)
			if errors.Is(err, build.ErrUnknown) {
				return &usageError{err}
			}
			if err != nil {
				return err
			}
			tell.Sayf("the binaries are in %s", f.config.BinDir)
			if f.output == "json" {
				return printJSON(cmd, tell.Steps())
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&root, "root", "", "the checkout (default the parent of the directory of binaries)")
	return cmd
}
