// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

const (
	dir = "/r.git"
	ref = "refs/heads/x"
)

// setting is how a store is opened.
type setting struct {
	journal journal.Options
	store   mvcc.Options
}

func draw(random *rand.Rand, epoch int64) setting {
	pick := func(of ...int64) int64 { return of[random.IntN(len(of))] }
	return setting{
		journal: journal.Options{SegmentSize: pick(4<<10, 8<<10, 32<<10, 1<<20), PublishInterval: -1},
		store: mvcc.Options{
			Branch: ref, Epoch: epoch, CheckpointBytes: pick(512, 4<<10, 1<<20), ValueBudget: pick(1, 4<<10, 1<<20),
		},
	}
}

// counts says whether a power cut before an operation makes a difference.
func counts(op vfs.Op) bool {
	return op.Kind != vfs.OpRead && op.Kind != vfs.OpOpen && !strings.HasSuffix(op.Name, "/gitcd/lock")
}

// left is what a cut leaves: the disk, and what clients were told.
type left struct {
	disk  *vfs.Mem
	told  *told
	crash vfs.Crash
	at    string
}

var crashes = []vfs.Crash{vfs.Kill, vfs.DropUnsynced, vfs.Tear, vfs.Garble}

var crashNames = map[vfs.Crash]string{vfs.Kill: "kill", vfs.DropUnsynced: "drop", vfs.Tear: "tear", vfs.Garble: "garble"}

// cutter cuts a disk off before its nth operation. Every one after it fails.
type cutter struct {
	disk   *vfs.Mem
	told   *told
	random *rand.Rand
	left   int
	out    []left
}

func (c *cutter) hook(op vfs.Op) error {
	if !counts(op) {
		return nil
	}
	c.told.mu.Lock()
	defer c.told.mu.Unlock()
	if c.told.cut {
		return syscall.EIO
	}
	if c.left--; c.left > 0 {
		return nil
	}
	c.cutLocked(fmt.Sprintf("%s %s", op.Kind, path.Base(op.Name)))
	return syscall.EIO
}

func (c *cutter) cutLocked(at string) {
	c.told.cut = true
	for _, crash := range crashes {
		c.out = append(c.out, left{disk: c.disk.CrashClone(crash, c.random), told: c.told.copyLocked(), crash: crash, at: at})
	}
}

// play opens a store, has clients at work, and cuts it off before operation n at the latest at its end.
func play(ctx context.Context, from left, s setting, random *rand.Rand, n, writers, each int) ([]left, error) {
	c := &cutter{disk: from.disk, told: from.told, random: random, left: n}
	c.disk.SetHook(c.hook)
	b, err := branch.Open(ctx, c.disk, dir, s.journal, s.store)
	if err == nil {
		var broken []string
		cl := &clients{told: c.told, b: b, failed: func(format string, args ...any) {
			if len(broken) < 5 {
				broken = append(broken, fmt.Sprintf(format, args...))
			}
		}}
		cl.run(ctx, random, writers, each)
		if random.IntN(4) == 0 {
			_ = b.Close(ctx) // the cut may come while it closes
		}
		if len(broken) > 0 {
			err = fmt.Errorf("before the cut: %s", strings.Join(broken, "; "))
		}
	}
	c.told.mu.Lock()
	if !c.told.cut {
		c.cutLocked("the end")
	} else if b == nil {
		err = nil // cut while it was opened
	}
	c.told.mu.Unlock()
	if b != nil {
		_ = b.Close(ctx)
	}
	return c.out, err
}

// export writes a disk in memory to a directory.
func export(m *vfs.Mem, to string) error {
	for _, sub := range []string{"refs/heads", "objects/pack", "objects/info"} { // Git wants them, also empty
		if err := os.MkdirAll(filepath.Join(to, sub), 0o755); err != nil {
			return err
		}
	}
	for name, data := range m.Files() {
		name = filepath.Join(to, strings.TrimPrefix(name, dir))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// fsck has stock Git look at a disk in memory.
func fsck(t *testing.T, m *vfs.Mem) error {
	t.Helper()
	to, err := os.MkdirTemp("", "fsck") //nolint:usetesting // one for each of thousands of rounds
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(to) }()
	if err := export(m, to); err != nil {
		return err
	}
	out, err := exec.CommandContext(t.Context(), "git", "-C", to, "fsck", "--strict", "--no-dangling", "--no-progress").CombinedOutput()
	if err != nil {
		return fmt.Errorf("C7: git fsck: %w: %s", err, out)
	}
	return nil
}
