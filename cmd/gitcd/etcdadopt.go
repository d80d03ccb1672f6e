// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
)

// adopt makes the repository of what a real etcd, or etcdutl snapshot restore,
// has left in the data directory: the same keys, revisions, history and leases.
// That is done once, when there is no repository yet, and only if nothing that
// etcd has acknowledged would be missing. What etcd has left stays as it is.
func (o *etcdOptions) adopt(ctx context.Context, log *slog.Logger, dir string) error {
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	member := filepath.Join(o.dataDir, "member")
	if _, err := os.Stat(member); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db := filepath.Join(member, "snap", "db")
	missing, err := behind(db, filepath.Join(member, "wal"))
	if err != nil {
		return fmt.Errorf("take over the data of another etcd in %s: %w; take a snapshot of it (etcdctl snapshot save) and restore that (gitcd restore), or choose another --data-dir", o.dataDir, err)
	}
	if missing > 0 {
		return fmt.Errorf("take over the data of another etcd in %s: its log has %d entries that its database lacks; start that etcd once more and stop it in peace", o.dataDir, missing)
	}
	r := restoreOptions{from: db, dir: dir, branch: "main", unsummed: true, dropAuth: o.dropAuth, warn: func(lost string) {
		log.Warn("took over the data of another etcd without its users and roles", "from", db, "lost", lost)
	}}
	st, err := r.run(ctx)
	if err != nil {
		return fmt.Errorf("take over the data of another etcd in %s: %w", o.dataDir, err)
	}
	log.Info("took over the data of another etcd, which stays as it is", "from", db, "revision", st.Revision, "keys", st.Keys)
	return nil
}

// behind returns how many entries of a Raft log a database lacks.
func behind(db, log string) (missing uint64, err error) {
	from, err := snapshot.Open(db, true)
	if err != nil {
		return 0, err
	}
	have := from.State.Index
	if err := from.Close(); err != nil {
		return 0, err
	}
	starts, err := wal.ValidSnapshotEntries(zap.NewNop(), log)
	if err != nil {
		return 0, fmt.Errorf("read its log: %w", err)
	}
	start := &walpb.Snapshot{}
	if len(starts) > 0 {
		start = starts[len(starts)-1]
	}
	w, err := wal.OpenForRead(zap.NewNop(), log, start)
	if err != nil {
		return 0, fmt.Errorf("read its log: %w", err)
	}
	_, _, entries, err := w.ReadAll()
	_ = w.Close() // it was only read
	if err != nil {
		return 0, fmt.Errorf("read its log: %w", err)
	}
	if n := len(entries); n > 0 && entries[n-1].GetIndex() > have {
		missing = entries[n-1].GetIndex() - have
	}
	return missing, nil
}
