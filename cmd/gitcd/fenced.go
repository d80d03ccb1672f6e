// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
)

// fencedFile says that this repository's branch was lost to another writer. A
// restarted container must not take it back: two writers would take it from
// each other for ever. Only gitcd init, which a new pod runs, takes a branch.
func fencedFile(repository string) string {
	return filepath.Join(repository, "gitcd", "fenced")
}

func markFenced(repository string, lost *exchange.FencedError) error {
	if err := os.WriteFile(fencedFile(repository), []byte(lost.Error()+"\n"), 0o600); err != nil {
		return fmt.Errorf("note that the branch is lost: %w", err)
	}
	return nil
}

// checkFenced returns an error that wraps exchange.ErrFenced if the branch was lost.
func checkFenced(repository string) error {
	text, err := os.ReadFile(fencedFile(repository))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look whether the branch is lost: %w", err)
	}
	return fmt.Errorf("%w earlier: %s; to take the branch back on purpose, run gitcd init", exchange.ErrFenced, strings.TrimSpace(string(text)))
}

func clearFenced(repository string) error {
	if err := os.Remove(fencedFile(repository)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget that the branch was lost: %w", err)
	}
	return nil
}
