// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// downloaded reads where `go mod download -json` put a module.
func downloaded(answer string) (string, error) {
	var m struct{ Path, Dir, Error string }
	if err := json.Unmarshal([]byte(answer), &m); err != nil {
		return "", fmt.Errorf("read what go mod download says: %w", err)
	}
	if m.Error != "" || m.Dir == "" {
		return "", fmt.Errorf("download %s: %s", m.Path, m.Error)
	}
	return m.Dir, nil
}

// copyTree copies files, writable, as the module cache's are not.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
}
