// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
)

// Journal writes a machine's journal, or that of one unit, to w. It reads the
// machine's disk, so it works for a machine that does not run.
func (f *Fleet) Journal(ctx context.Context, name, unit string, w io.Writer) error {
	m, err := f.Get(name)
	if err != nil {
		return err
	}
	argv := []string{"--no-pager", "--directory", filepath.Join(m.Dir, "root/var/log/journal")}
	if unit != "" {
		argv = append(argv, "--unit", unit)
	}
	cmd := exec.CommandContext(ctx, "journalctl", argv...) //nolint:gosec // our own arguments
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("read journal of machine %s: %w", name, err)
	}
	return nil
}
