// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package crash

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// small is a setting in which a short history rolls, seals and saves checkpoints.
func small() setting {
	return setting{
		journal: journal.Options{SegmentSize: 4 << 10, PublishInterval: -1},
		store:   mvcc.Options{Branch: ref, Epoch: 1, CheckpointBytes: 512, ValueBudget: 1},
	}
}

// TestEverySyncPoint cuts a history, that of two processes, off before each operation that it does on the disk.
func TestEverySyncPoint(t *testing.T) {
	t.Parallel()
	step, checked := 1, 0
	if testing.Short() {
		step = 5
	}
	for n := 1; ; n += step {
		random := rand.New(rand.NewPCG(3, 3))
		first, err := play(t.Context(), left{disk: &vfs.Mem{}, told: newTold()}, small(), random, 1<<30, 2, 8)
		if err != nil {
			t.Fatal(err)
		}
		all, err := play(t.Context(), first[0], small(), random, n, 2, 12)
		for _, l := range all {
			disk := l.disk.CrashClone(vfs.Kill, nil)
			if err == nil {
				_, err = compare(t.Context(), l, small(), false)
			}
			if err != nil {
				failed(t, 3, uint64(n), left{disk: disk, crash: l.crash, at: l.at}, err)
				return
			}
			checked++
		}
		if all[0].at == "the end" {
			t.Logf("%d operations, %d crashes", n, checked)
			return
		}
	}
}

// TestEveryByte tears the last batch, which nobody was told of, at every byte:
// cut off there, begun there, changed there; and at each sector lost or garbled.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	l, name, synced, written := torn(t)
	from, to := span(synced, written)
	if from == to {
		t.Fatal("nothing is torn")
	}
	random := rand.New(rand.NewPCG(5, 5))
	checked := 0
	try := func(what string, at int, edit func(b []byte)) {
		if t.Failed() {
			return
		}
		disk := l.disk.CrashClone(vfs.Kill, nil)
		content := bytes.Clone(written)
		edit(content)
		if err := disk.Overwrite(name, 0, content); err != nil {
			t.Fatal(err)
		}
		if _, err := compare(t.Context(), left{disk: disk, told: l.told.copyLocked()}, small(), false); err != nil {
			failed(t, 5, 0, left{disk: disk, at: fmt.Sprintf("%s at %d", what, at)}, err)
		}
		checked++
	}
	for at := from; at < to; at++ {
		try("cut off", at, func(b []byte) { copy(b[at:], synced[at:]) })
		try("changed", at, func(b []byte) { b[at] ^= byte(1 + random.IntN(255)) })
		if at%4 == 0 {
			try("begun", at, func(b []byte) { copy(b[from:at], synced[from:at]) })
		}
	}
	for at := from / sector * sector; at < to; at += sector {
		a, b := max(at, from), min(at+sector, to)
		try("sector lost", at, func(c []byte) { copy(c[a:b], synced[a:b]) })
		try("sector garbled", at, func(c []byte) {
			for i := a; i < b; i++ {
				c[i] = byte(random.Uint32())
			}
		})
	}
	t.Logf("%d bytes, %d crashes", to-from, checked)
}

// sector is what a disk writes at once.
const sector = 512

// torn returns a disk whose open segment has a batch that is not synced, and that segment as it is without it and with it.
func torn(t *testing.T) (l left, name string, synced, written []byte) {
	t.Helper()
	c := &cutter{disk: &vfs.Mem{}, told: newTold(), random: rand.New(rand.NewPCG(9, 9)), left: 1 << 30}
	b, err := branch.Open(t.Context(), c.disk, dir, small().journal, small().store)
	if err != nil {
		t.Fatal(err)
	}
	cl := &clients{told: c.told, b: b, failed: t.Errorf}
	cl.run(t.Context(), c.random, 2, 10)
	if _, err := b.Store.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := &attempt{id: c.told.name("txn")}
	has := func(crash vfs.Crash, file string) bool { // the last transaction
		return bytes.Contains(c.disk.CrashClone(crash, nil).Files()[file], []byte(a.id))
	}
	c.disk.SetHook(func(op vfs.Op) error {
		file := strings.TrimSuffix(op.Name, ".tmp") // under which it was made
		if op.Kind == vfs.OpSync && len(c.out) == 0 && has(vfs.Kill, file) && !has(vfs.DropUnsynced, file) {
			c.told.mu.Lock()
			defer c.told.mu.Unlock()
			c.cutLocked("sync")
			name = file
		}
		return nil
	})
	var then []mvcc.Op
	for i, v := range []string{a.id, `{"a":{"b":1}}`, strings.Repeat("text ", 60)} {
		key := marks + "torn"
		if i > 0 {
			key = keys(c.random)
		}
		then = append(then, mvcc.Op{Put: &mvcc.Put{Key: key, Value: []byte(v)}})
	}
	a.txn = &mvcc.Txn{Then: then}
	c.told.try(a)
	if _, err := b.Store.Txn(t.Context(), *a.txn); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	l = c.out[0]
	return l, name, l.disk.CrashClone(vfs.DropUnsynced, nil).Files()[name], l.disk.Files()[name]
}

// span returns where two files differ.
func span(a, b []byte) (from, to int) {
	for from < len(b) && from < len(a) && a[from] == b[from] {
		from++
	}
	to = len(b)
	for to > from && len(a) == len(b) && a[to-1] == b[to-1] {
		to--
	}
	return from, to
}
