// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// restoring is behind the name of a repository that is not whole yet.
const restoring = ".restoring"

// restoreOptions are the flags of gitcd restore.
type restoreOptions struct {
	from, dir, branch string
	bump              int64
	mark, unsummed    bool
	// dropAuth goes on without the users and roles that the snapshot has, of which warn is told.
	dropAuth bool
	warn     func(lost string)
}

func restoreCommand() *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Make a repository of a snapshot of etcd's, or of gitcd's",
		Long: `Make a repository of a snapshot that "etcdctl snapshot save" brought from an etcd or
from a gitcd: the same keys with the same revisions, versions and leases, the
history since the last compaction included. The repository must not exist.

Clients that had seen later revisions than the snapshot has must not see them
given to something else: raise the revision with --bump-revision beyond any they
have seen, and have them read anew with --mark-compacted, as with etcdutl.

Gitcd has no users and no roles: whoever a listener lets in may do everything. A
snapshot of an etcd that has some is refused, unless --drop-auth says that they
may go.

Exit code 1: it failed, and there is no repository; 2: wrong usage; 4: the
snapshot is damaged.`,
		Example: `  etcdctl snapshot save backup.db
  gitcd restore --from backup.db --dir /var/lib/gitcd/repository.git
  gitcd restore --from backup.db --dir /var/lib/etcd/repository.git --bump-revision 1000000000 --mark-compacted
  gitcd restore --from /var/lib/etcd/member/snap/db --skip-hash-check --dir /var/lib/gitcd/repository.git`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return &usageError{err}
			}
			o.warn = func(lost string) { fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: %s\n", o.from, lost) }
			st, err := o.run(cmd.Context())
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: branch %s at revision %d, compacted at %d, %d keys\n", o.dir, o.branch, st.Revision, st.Compacted, st.Keys)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "the snapshot")
	f.StringVar(&o.dir, "dir", "", "directory of the repository to be made")
	f.StringVar(&o.branch, "branch", "main", "the branch that is to have the keys, without refs/heads/")
	f.Int64Var(&o.bump, "bump-revision", 0, "how much to add to the last revision")
	f.BoolVar(&o.mark, "mark-compacted", false, "call everything up to the last revision compacted; goes with --bump-revision")
	f.BoolVar(&o.unsummed, "skip-hash-check", false, "take a database that was copied from a data directory, and so has no checksum")
	f.BoolVar(&o.dropAuth, "drop-auth", false, "go on without the users and roles that the snapshot has")
	return cmd
}

func (o *restoreOptions) check() error {
	switch {
	case o.from == "":
		return errors.New("--from is missing: give the snapshot's file")
	case o.dir == "":
		return errors.New("--dir is missing: give the directory of the repository to be made")
	case o.branch == "":
		return errors.New("--branch must not be empty")
	case o.bump < 0:
		return errors.New("--bump-revision must not be negative")
	case (o.bump > 0) != o.mark:
		return errors.New("--bump-revision and --mark-compacted go together")
	}
	left, err := os.ReadDir(o.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("%s is not empty; choose another --dir, or remove it", o.dir)
	}
	return nil
}

// run makes the repository beside its place, and moves it there once it is whole.
func (o *restoreOptions) run(ctx context.Context) (st mvcc.Status, err error) {
	from, err := snapshot.Open(o.from, o.unsummed)
	if errors.Is(err, snapshot.ErrNoSum) {
		err = fmt.Errorf("%w; if it was copied from the data directory of an etcd that has stopped, add --skip-hash-check", err)
	}
	if err != nil {
		return st, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := o.judgeAuth(from.State.Auth); err != nil {
		return st, fmt.Errorf("restore %s: %w", o.from, err)
	}
	place := filepath.Clean(o.dir)
	tmp := place + restoring
	if err := os.RemoveAll(tmp); err != nil {
		return st, fmt.Errorf("restore: %w", err)
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil { //nolint:gosec // stock git reads the repository
		return st, fmt.Errorf("restore: %w", err)
	}
	st, err = o.fill(ctx, tmp, from)
	if err != nil {
		return st, errors.Join(fmt.Errorf("restore %s: %w", o.from, err), os.RemoveAll(tmp))
	}
	if err := os.Remove(place); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return st, fmt.Errorf("restore: %w", err)
	}
	if err := os.Rename(tmp, place); err != nil {
		return st, fmt.Errorf("restore: %w", err)
	}
	return st, vfs.OS{}.SyncDir(filepath.Dir(place))
}

// judgeAuth refuses users and roles, or tells that they are lost: who was kept out by them is not kept out any more.
func (o *restoreOptions) judgeAuth(a snapshot.Auth) error {
	switch {
	case a.IsZero():
		return nil
	case !o.dropAuth:
		return fmt.Errorf("%s, and gitcd has neither users nor roles: whoever a listener lets in may do everything; "+
			"let only those in who may (--client-cert-auth, or a Unix socket), and say with --drop-auth that users and roles may go", a)
	}
	o.warn(fmt.Sprintf("%s: dropped; whoever a listener lets in may do everything now", a))
	return nil
}

func (o *restoreOptions) fill(ctx context.Context, dir string, from *snapshot.Snapshot) (st mvcc.Status, err error) {
	b, err := branch.Open(ctx, vfs.OS{}, dir, journal.Options{}, mvcc.Options{Branch: "refs/heads/" + o.branch})
	if err != nil {
		return st, err
	}
	defer func() { err = errors.Join(err, b.Close(context.WithoutCancel(ctx))) }()
	img := etcdapi.ImageOf(from)
	if o.bump > 0 {
		img.Revision += o.bump
		img.Compacted = img.Revision
	}
	if err := b.Store.Load(ctx, img); err != nil {
		return st, err
	}
	return b.Store.Status(), nil
}
