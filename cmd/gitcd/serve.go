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
	"golang.org/x/sync/errgroup"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// closing is how long the last commits and pushes may take.
const closing = 20 * time.Second

func serveCommand() *cobra.Command {
	var (
		file          string
		dir, ref      string
		listen        []string
		events        []string
		status, level string
		memory        bool
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a branch of a repository as etcd v3",
		Long: `Serve a branch of a repository as etcd v3.

With --config all is in a file; see api/gitcd/v1alpha1. The other flags are for
a branch that stays alone: no upstream, no hub.`,
		Example: `  gitcd serve --config /etc/gitcd/config.yaml
  gitcd serve --dir /var/lib/store.git --listen unix:///run/gitcd/gitcd.sock
  gitcd serve --memory --listen http://127.0.0.1:2379`,
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
				return serveBranch(cmd.Context(), c)
			}
			if len(listen) == 0 {
				return &usageError{errors.New("give --config, or --listen and one of --dir and --memory")}
			}
			logging := gitcdv1.Logging{Level: gitcdv1.LogLevel(level), Format: gitcdv1.LogText}
			if memory {
				return serveMemory(cmd.Context(), listeners(listen), logging)
			}
			c, err := aloneConfig(dir, ref, listen, events, status, logging)
			if err != nil {
				return err
			}
			return serveBranch(cmd.Context(), c)
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration file")
	f.StringVar(&dir, "dir", "", "directory of the repository; made if it does not exist")
	f.StringVar(&ref, "branch", "main", "branch to serve")
	f.StringArrayVar(&listen, "listen", nil, "unix:///path or http://loopback:port; may be repeated")
	f.StringArrayVar(&events, "events-listen", nil, "the same, for a second store that lives in memory")
	f.StringVar(&status, "status-listen", "", "host:port of /healthz, /readyz, /status and /metrics")
	f.StringVar(&level, "log-level", string(gitcdv1.LogInfo), "debug, info, warn or error")
	f.BoolVar(&memory, "memory", false, "keep everything in memory, and lose it at the end")
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
func aloneConfig(dir, ref string, listen, events []string, status string, logging gitcdv1.Logging) (*gitcdv1.Config, error) {
	if dir == "" {
		return nil, &usageError{errors.New("--dir is missing: give the repository's directory, or --memory")}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", dir, err)
	}
	c := &gitcdv1.Config{Repository: abs, Branch: ref, Listeners: listeners(listen), StatusListen: status, Logging: logging}
	if len(events) > 0 {
		c.Events = &gitcdv1.Events{Listeners: listeners(events)}
	}
	data, err := c.Marshal()
	if err != nil {
		return nil, err
	}
	if c, err = gitcdv1.Load(data); err != nil {
		return nil, &usageError{err}
	}
	return c, nil
}

// serveMemory serves a store that dies with the process.
func serveMemory(ctx context.Context, ls []gitcdv1.Listener, logging gitcdv1.Logging) error {
	logger := newLogger(logging)
	store, err := mvcc.Open(ctx, nil, mvcc.Options{})
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	front, err := newFront(ctx, store, ls, frontOptions{log: logger})
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
	exchange *exchange.Exchange // nil: the branch stays alone
	fenced   chan struct{}      // closed when another writer has the branch: nothing is answered any more
	fronts   []*front
}

// serveBranch serves until the context ends or the branch is lost.
func serveBranch(ctx context.Context, c *gitcdv1.Config) error {
	h := &heaven{config: c, log: newLogger(c.Logging), fenced: make(chan struct{})}
	j, err := openJournal(ctx, c)
	if err != nil {
		return err
	}
	if err := h.open(ctx, j); err != nil {
		return errors.Join(err, j.Close(context.WithoutCancel(ctx)))
	}
	err = h.run(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	return errors.Join(err, h.branch.Close(last))
}

func openJournal(ctx context.Context, c *gitcdv1.Config) (*journal.Journal, error) {
	if err := os.MkdirAll(c.Repository, 0o755); err != nil { //nolint:gosec // stock git reads the repository
		return nil, fmt.Errorf("make the repository's directory: %w", err)
	}
	return journal.Open(ctx, vfs.OS{}, c.Repository, journal.Options{PublishInterval: c.PublishInterval.Duration})
}

// open takes the branch and opens its store.
func (h *heaven) open(ctx context.Context, j *journal.Journal) error {
	c := h.config
	id, err := holder(c.HolderFile, c.Author.Name)
	if err != nil {
		return err
	}
	h.holder = id
	if fencedErr := checkFenced(c.Repository); fencedErr != nil {
		return fencedErr
	}
	up, err := upstream(c)
	if err != nil {
		return err
	}
	if up != nil {
		taken, err := take(ctx, h.log, c, id, j, up)
		if err != nil {
			return err
		}
		h.epoch = taken.Epoch
	}
	store, err := branch.OpenStore(ctx, j, h.storeOptions())
	if err != nil {
		return err
	}
	h.branch = &branch.Branch{Journal: j, Store: store}
	if up == nil {
		return nil
	}
	o, err := h.exchangeOptions()
	if err != nil {
		return errors.Join(err, store.Close(context.WithoutCancel(ctx)))
	}
	h.exchange = exchange.New(store, j, up, o)
	return nil
}

func (h *heaven) storeOptions() mvcc.Options { return storeOptions(h.config, h.holder, h.epoch) }

func storeOptions(c *gitcdv1.Config, holder string, epoch int64) mvcc.Options {
	return mvcc.Options{
		Branch: "refs/heads/" + c.Branch,
		Epoch:  epoch,
		Author: mvcc.Identity{Name: c.Author.Name, Email: c.Author.Email},
		Holder: holder,
		Grains: grains(c.Grains),
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
