// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// dumpOptions are the flags of gitcd dump.
type dumpOptions struct {
	offlineFlags
	branch   string
	endpoint endpointOptions

	prefix   string
	revision int64
	commit   string
	output   string
	to       string
}

// The forms that gitcd dump writes.
const (
	dumpJSON     = "json"
	dumpYAML     = "yaml"
	dumpKeys     = "keys"
	dumpTree     = "tree"
	dumpSnapshot = "snapshot"
)

// keySource is where keys are dumped from.
type keySource interface {
	// each yields the keys that begin with a prefix, in order.
	each(ctx context.Context, prefix string, yield func(mvcc.KeyValue) error) error
	// snapshot writes a snapshot of etcd's kind.
	snapshot(ctx context.Context, w io.Writer) error
	close(ctx context.Context) error
}

func dumpCommand() *cobra.Command {
	var o dumpOptions
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Write the keys of a repository, or of a server, to the terminal, to files, or into a snapshot",
		Long: `Write the keys of a repository that nobody serves (--dir, or --config: the file
that it is served with, if that says where keys lie), or of a running gitcd or
etcd (--endpoint): now, at a revision, or, of a repository, as they are in a
commit. Forms:

  json      an object a line, with all revisions; a value that is JSON as it is, another as text or in base64
  yaml      the same, a document a key
  keys      the keys alone
  tree      the keys as a tree
  snapshot  a database that etcdutl restores, with the history since the last compaction: the way back to etcd

With --to DIRECTORY each key becomes a file, as in the Git tree; a snapshot goes
into the file --to. Exit code 1: it failed; 2: wrong usage; 4: the repository is damaged.`,
		Example: `  gitcd dump --dir /var/lib/gitcd/repository.git -o keys
  gitcd dump --dir /var/lib/gitcd/repository.git --commit main~3 --prefix /registry/pods/ -o yaml
  gitcd dump --config /etc/gitcd/config.yaml --branch blue -o tree
  gitcd dump --endpoint http://127.0.0.1:2379 --revision 4711 -o json
  gitcd dump --endpoint unix:///run/gitcd/gitcd.sock --prefix /registry/ --to ./files
  gitcd dump --dir /var/lib/gitcd/repository.git -o snapshot --to backup.db
  etcdutl snapshot restore backup.db --data-dir /var/lib/etcd`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return &usageError{err}
			}
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	o.add(f)
	o.addKeys(f)
	f.StringVar(&o.branch, "branch", "", "the branch, without refs/heads/; default: the first of --config, main, or the only one")
	f.StringVar(&o.endpoint.url, "endpoint", "", "URL of a running server: http://, https:// or unix://")
	f.StringVar(&o.endpoint.ca, "cacert", "", "authorities that the server's certificate must be signed by")
	f.StringVar(&o.endpoint.cert, "cert", "", "certificate to show to the server")
	f.StringVar(&o.endpoint.key, "key", "", "key of that certificate")
	f.StringVar(&o.prefix, "prefix", "", "only the keys that begin so")
	f.Int64Var(&o.revision, "revision", 0, "the keys as they were at this revision")
	f.StringVar(&o.commit, "commit", "", "the keys as they are in this commit: an id, a branch, or a branch and ~N")
	f.StringVarP(&o.output, "output", "o", dumpJSON, "json, yaml, keys, tree or snapshot")
	f.StringVar(&o.to, "to", "", "a directory for a file a key, or the file of the snapshot")
	return cmd
}

func (o *dumpOptions) check() error {
	switch {
	case o.given() == (o.endpoint.url != ""):
		return errors.New("give either --dir or --config, or else --endpoint")
	case len(o.keys) > 0 && !o.given():
		return errors.New("--key-prefix goes with --dir: a server knows where keys lie")
	case o.commit != "" && (!o.given() || o.revision != 0):
		return errors.New("--commit goes with --dir or --config, and not with --revision")
	case o.revision < 0:
		return errors.New("--revision must not be negative")
	}
	switch o.output {
	case dumpJSON, dumpYAML, dumpKeys, dumpTree:
		return nil
	case dumpSnapshot:
		if o.to == "" {
			return errors.New("-o snapshot needs --to: the file to be written")
		}
		if o.commit != "" || o.revision != 0 || o.prefix != "" {
			return errors.New("a snapshot has all keys, as they are now: leave out --commit, --revision and --prefix")
		}
		return nil
	default:
		return fmt.Errorf("-o %s is unknown: give json, yaml, keys, tree or snapshot", o.output)
	}
}

func (o *dumpOptions) source(ctx context.Context) (keySource, error) {
	if !o.given() {
		return o.endpoint.open(o.revision)
	}
	if err := o.load(); err != nil {
		return nil, err
	}
	if o.branch == "" {
		o.branch = o.firstBranch()
	}
	if o.commit != "" {
		return openCommit(ctx, o.dir, o.commit, o.of(headsPrefix+o.branch).Keys)
	}
	from, err := openRepository(ctx, o)
	return from, elsewhere(err)
}

func (o *dumpOptions) run(ctx context.Context, stdout io.Writer) (err error) {
	from, err := o.source(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.close(context.WithoutCancel(ctx))) }()
	switch {
	case o.output == dumpSnapshot:
		return writeWhole(o.to, func(w io.Writer) error { return from.snapshot(ctx, w) })
	case o.to != "":
		return dumpFiles(ctx, from, o.prefix, o.to)
	}
	out := bufio.NewWriter(stdout)
	p := &printer{out: out, form: o.output}
	if err := from.each(ctx, o.prefix, p.print); err != nil {
		return err
	}
	return out.Flush()
}

// writeWhole writes a file that is there with all its content or not at all.
func writeWhole(name string, write func(io.Writer) error) (err error) {
	tmp := name + ".part"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(tmp))
	}
	if err := os.Rename(tmp, name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
