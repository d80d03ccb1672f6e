// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// TestJ1ShownIsDurable opens what was written and not synced, since the process
// was killed or the sync failed: what it shows then survives a power cut.
func TestJ1ShownIsDurable(t *testing.T) {
	for _, fail := range []bool{false, true} {
		var h history
		m := &vfs.Mem{}
		o := journal.Options{SegmentSize: 8 << 10, PublishInterval: -1}
		j := open(t, m, memDir, o)
		var frames []journal.Frame
		for i := range 5 {
			frames = append(frames, h.next())
			appendOne(t, j, frames[i], i < 3)
		}
		if fail {
			m.SetHook(func(op vfs.Op) error {
				if op.Kind == vfs.OpSync && strings.Contains(op.Name, ".open") {
					return syscall.EIO
				}
				return nil
			})
			if _, err := j.Append(t.Context(), nil, true); !errors.Is(err, journal.ErrFailed) {
				t.Fatalf("have %v", err)
			}
		}
		killed := m.CrashClone(vfs.Kill, nil)
		m.SetHook(nil)
		expect(t, open(t, killed, memDir, o), frames)
		cut := killed.CrashClone(vfs.DropUnsynced, nil)
		expect(t, open(t, cut, memDir, o), frames)
		check(t, cut, memDir)
	}
}
