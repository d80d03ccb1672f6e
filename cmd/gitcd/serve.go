// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pull"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// closing is how long the last commits and pushes may take.
const closing = 20 * time.Second

// aloneFlags describe a branch that stays alone.
type aloneFlags struct {
	dir, branch   string
	listen        []string
	events        []string
	keys          []string
	member        gitcdv1.Member
	status, level string
	memory        bool
}

func (f *aloneFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.dir, "dir", "", "directory of the repository; made if it does not exist")
	flags.StringVar(&f.branch, "branch", "main", "branch to serve")
	flags.StringArrayVar(&f.listen, "listen", nil, "unix:///path or http://loopback:port; may be repeated")
	flags.StringArrayVar(&f.events, "events-listen", nil, "the same, for a second store that lives in memory")
	flags.StringArrayVar(&f.keys, "key-prefix", nil, "<prefix>=<directory>/: keys with the prefix lie in that directory of the tree; may be repeated")
	flags.StringVar(&f.member.Name, "name", "", "name of the member (default gitcd)")
	flags.StringVar(&f.member.ClusterID, "cluster-id", "", "id of the cluster, hexadecimal, as etcdctl prints it (default made of the name)")
	flags.StringVar(&f.member.MemberID, "member-id", "", "id of the member, the same")
	flags.StringVar(&f.status, "status-listen", "", "host:port of /healthz, /readyz, /status and /metrics")
	flags.StringVar(&f.level, "log-level", string(gitcdv1.LogInfo), "debug, info, warn or error")
	flags.BoolVar(&f.memory, "memory", false, "keep everything in memory, and lose it at the end")
}

func (f *aloneFlags) logging() gitcdv1.Logging {
	return gitcdv1.Logging{Level: gitcdv1.LogLevel(f.level), Format: gitcdv1.LogText}
}

func serveCommand() *cobra.Command {
	var file string
	var flags aloneFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve branches of a repository as etcd v3",
		Long: `Serve branches of a repository as etcd v3.

With --config all is in a file; see docs/gitcd.md. The other flags are for a
single branch that stays alone: no upstream, no hub, no pulls.`,
		Example: `  gitcd serve --config /etc/gitcd/config.yaml
  gitcd serve --dir /var/lib/store.git --listen unix:///run/gitcd/gitcd.sock
  gitcd serve --memory --listen http://127.0.0.1:2379

  # the keys below / lie below clusters/blue/ of the branch "state"
  gitcd serve --dir /var/lib/store.git --branch state --key-prefix /=clusters/blue/ --listen http://127.0.0.1:2379

  # any Git repository: "README.md" is the key of its README.md
  gitcd init --dir /var/lib/project.git --clone https://example.org/project.git --history 100
  gitcd serve --dir /var/lib/project.git --key-prefix = --listen http://127.0.0.1:2379

  # take the place of an etcd that clients know by its ids
  gitcd serve --dir /var/lib/store.git --listen http://127.0.0.1:2379 --name etcd-0 --cluster-id cdf818194e3a8c32 --member-id 8e9e05c52164694d

  # merge what others push to a plain Git repository, every 30 s
  cat >config.yaml <<EOF
  apiVersion: gitcd.trishanku.org/v1alpha1
  kind: Config
  repository: /var/lib/store.git
  branch: main
  listeners: [{url: "http://127.0.0.1:2379"}]
  pulls: [{url: "https://example.org/store.git", usernameFile: /etc/git/username, passwordFile: /etc/git/password}]
  EOF
  gitcd serve --config config.yaml

  # several branches of one repository, each as an etcd of its own
  cat >config.yaml <<EOF
  apiVersion: gitcd.trishanku.org/v1alpha1
  kind: Config
  repository: /var/lib/store.git
  statusListen: 127.0.0.1:2381
  branches:
  - {name: blue, listeners: [{url: "http://127.0.0.1:2379"}]}
  - {name: green, listeners: [{url: "http://127.0.0.1:2389"}]}
  EOF
  gitcd serve --config config.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" {
				c, err := loadConfig(file)
				if err != nil {
					return err
				}
				if c.Hub != nil {
					return &usageError{fmt.Errorf("%s configures a hub: run gitcd hub", file)}
				}
				return serveBranches(cmd.Context(), c)
			}
			if len(flags.listen) == 0 {
				return &usageError{errors.New("give --config, or --listen and one of --dir and --memory")}
			}
			if flags.memory {
				return serveMemory(cmd.Context(), listeners(flags.listen), flags.member, flags.logging())
			}
			c, err := aloneConfig(&flags)
			if err != nil {
				return err
			}
			return serveBranches(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file")
	flags.add(cmd.Flags())
	return cmd
}

func listeners(urls []string) []gitcdv1.Listener {
	var out []gitcdv1.Listener
	for _, u := range urls {
		out = append(out, gitcdv1.Listener{URL: u})
	}
	return out
}

// aloneConfig makes the configuration that the flags stand for, with every check of a file's.
func aloneConfig(f *aloneFlags) (*gitcdv1.Config, error) {
	if f.dir == "" {
		return nil, &usageError{errors.New("--dir is missing: give the repository's directory, or --memory")}
	}
	abs, err := filepath.Abs(f.dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", f.dir, err)
	}
	c := &gitcdv1.Config{
		Repository: abs, Branch: f.branch, Member: f.member, Listeners: listeners(f.listen), StatusListen: f.status, Logging: f.logging(),
	}
	if len(f.events) > 0 {
		c.Events = &gitcdv1.Events{Listeners: listeners(f.events)}
	}
	if c.Keys, err = keyPrefixes(f.keys); err != nil {
		return nil, err
	}
	return checked(c)
}

// serveMemory serves a store that dies with the process.
func serveMemory(ctx context.Context, ls []gitcdv1.Listener, member gitcdv1.Member, logging gitcdv1.Logging) error {
	logger := newLogger(logging)
	store, err := mvcc.Open(ctx, nil, mvcc.Options{})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	front, err := newFront(ctx, store, ls, frontOptions{log: logger, member: member})
	if err != nil {
		return err
	}
	group.Go(func() error { return front.run(ctx) })
	return errors.Join(group.Wait(), store.Close(context.WithoutCancel(ctx)))
}

// heaven is a running gitcd: the store of a branch, its servers and its upstream.
type heaven struct {
	config   *gitcdv1.Config
	log      *slog.Logger
	holder   string
	branch   *branch.Branch
	epoch    int64
	up       *exchange.Remote // nil: the branch stays alone
	strange  strangers
	exchange *exchange.Exchange // nil: the branch stays alone
	fenced   chan struct{}      // closed when another writer has the branch: nothing is answered any more
	fronts   []*front
	pullers  []*pull.Puller
}

func openJournal(ctx context.Context, c *gitcdv1.Config) (*journal.Journal, error) {
	if err := os.MkdirAll(c.Repository, 0o755); err != nil { //nolint:gosec // stock git reads the repository
		return nil, fmt.Errorf("make the repository's directory: %w", err)
	}
	j, err := journal.Open(ctx, vfs.OS{}, c.Repository, journal.Options{
		PublishInterval: c.PublishInterval.Duration, Keep: branch.Keep,
	})
	if err != nil {
		return nil, err
	}
	if err := checkShallow(c, j); err != nil {
		return nil, errors.Join(err, j.Close(context.WithoutCancel(ctx)))
	}
	return j, nil
}

// take makes the branch this writer's, if it has an upstream.
func (h *heaven) take(ctx context.Context, j *journal.Journal) error {
	c := h.config
	id, err := holder(c.HolderFile, c.Author.Name)
	if err != nil {
		return err
	}
	h.holder = id
	if fencedErr := checkFenced(c.Repository); fencedErr != nil {
		return fencedErr
	}
	if h.up, err = upstream(c); err != nil || h.up == nil {
		return err
	}
	taken, err := take(ctx, h.log, c, id, j, h.up)
	h.epoch = taken.Epoch
	return err
}

// enter gives the heaven its store, and joins that to the upstream.
func (h *heaven) enter(j *journal.Journal, store *mvcc.Store) error {
	h.branch = &branch.Branch{Journal: j, Store: store}
	h.strange.tell(h.log, h.config.Branch)
	if err := h.makePullers(); err != nil {
		return err
	}
	if h.up == nil {
		return nil
	}
	o, err := h.exchangeOptions()
	if err != nil {
		return err
	}
	if beats(h.config.Upstream) {
		o.Beside, h.up.Hears = store, h.config.Upstream.Lazy.Hear == gitcdv1.HearAll
	}
	h.exchange = exchange.New(store, j, h.up, o)
	h.up.Settings = h.exchange.Use
	return nil
}

func (h *heaven) storeOptions() (mvcc.Options, error) {
	return layOut(storeOptions(h.config, h.holder, h.epoch), h.config, &h.strange)
}

func storeOptions(c *gitcdv1.Config, holder string, epoch int64) mvcc.Options {
	var gather time.Duration // alone: as soon as a store does it
	if u := c.Upstream; u != nil {
		gather = u.Lazy.GatherInterval.Duration
		if beats(u) {
			gather = u.Lazy.RenewalInterval.Duration // the exchange sees to what cannot wait so long
		}
	}
	return mvcc.Options{
		Branch: "refs/heads/" + c.Branch, BatchInterval: gather,
		Epoch:  epoch,
		Author: mvcc.Identity{Name: c.Author.Name, Email: c.Author.Email},
		Holder: holder,
		Grains: grains(c.Grains),
		Quota:  c.Limits.QuotaBytes, AutoCompact: autoCompact(c.Limits),
	}
}

// run serves, exchanges and stops in the order that loses nothing: first the
// clients, then, with all they wrote, the exchange.
func (h *heaven) run(ctx context.Context) error {
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	exchanging, stopExchange := context.WithCancel(context.WithoutCancel(ctx))
	defer stopExchange()

	servers, servingCtx := errgroup.WithContext(serving)
	if err := h.startServers(servingCtx, servers); err != nil {
		return err
	}
	h.log.Info("ready to serve client requests", "branch", h.config.Branch, "epoch", h.epoch, "revision", h.branch.Store.Revision())

	lost := make(chan error, 1)
	if h.exchange != nil {
		go func() {
			err := h.exchange.Run(exchanging)
			lost <- err
			stopServing()
		}()
	} else {
		lost <- nil
	}
	h.startPulls(servingCtx, servers.Go)
	servers.Go(func() error { return failure(servingCtx, h.branch.Store) })
	err := servers.Wait()
	stopExchange()
	lostErr := <-lost
	if fenced := (*exchange.FencedError)(nil); errors.As(lostErr, &fenced) {
		lostErr = errors.Join(lostErr, markFenced(h.config.Repository, fenced))
	}
	return errors.Join(err, lostErr)
}

// failure waits until the store fails, and returns why: a process that can no
// longer write ends, says so, and leaves it to its next start to find out what is on the disk.
func failure(ctx context.Context, store *mvcc.Store) error {
	select {
	case <-store.Failed():
		return store.Healthy()
	case <-ctx.Done():
		return nil
	}
}
