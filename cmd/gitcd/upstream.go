// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

func initialise(ctx context.Context, c *gitcdv1.Config) (err error) {
	logger := newLogger(c.Logging)
	j, err := openJournal(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close(context.WithoutCancel(ctx))) }()
	id, err := holder(c.HolderFile, c.Author.Name)
	if err != nil {
		return err
	}
	up, err := upstream(c)
	if err != nil || up == nil {
		return err
	}
	taken, err := take(ctx, logger, c, id, j, up)
	if err != nil {
		return err
	}
	if err := clearFenced(c.Repository); err != nil {
		return err
	}
	logger.Info("took the branch", "branch", c.Branch, "epoch", taken.Epoch, "holder", id, "head", taken.Head, "offline", taken.Offline, "handedIn", taken.HandedIn)
	return nil
}

// upstream returns the hub or the plain repository of a configuration, nil if it has none.
func upstream(c *gitcdv1.Config) (*exchange.Remote, error) {
	if c.Upstream == nil {
		return nil, nil //nolint:nilnil // no upstream is not an error
	}
	u := c.Upstream
	if u.Kind == gitcdv1.UpstreamGit {
		client, err := forgeClient(u.URL, &keyFiles{certFile: u.CertFile, keyFile: u.KeyFile, caFile: u.CAFile}, &u.Credentials)
		if err != nil {
			return nil, err
		}
		return exchange.NewGitRemote(u.URL, client), nil
	}
	client, err := (&keyFiles{certFile: u.CertFile, keyFile: u.KeyFile, caFile: u.CAFile}).client(0)
	if err != nil {
		return nil, err
	}
	return exchange.NewHubRemote(u.URL, client), nil
}

// beats says whether an upstream is told beside Git that leases are renewed.
func beats(u *gitcdv1.Upstream) bool {
	return u.Kind == gitcdv1.UpstreamHub && u.Lazy.Beats == gitcdv1.BeatsEnabled
}

func take(ctx context.Context, logger *slog.Logger, c *gitcdv1.Config, holder string, j *journal.Journal, up exchange.Upstream) (exchange.Taken, error) {
	return exchange.Take(ctx, j, up, exchange.TakeOptions{
		Branch:  c.Branch,
		Holder:  holder,
		Author:  mvcc.Identity{Name: c.Author.Name, Email: c.Author.Email},
		Genesis: c.Genesis != nil,
		Flush: func(ctx context.Context, epoch int64, holder string) (gitobj.ID, error) {
			o, err := layOut(storeOptions(c, holder, epoch), c, &strangers{})
			if err != nil {
				return gitobj.Zero, err
			}
			s, err := branch.OpenStore(ctx, j, o)
			if err != nil {
				return gitobj.Zero, err
			}
			head, err := s.Flush(ctx)
			return head, errors.Join(err, s.Close(ctx))
		},
		Log: logger,
	})
}

func (h *heaven) exchangeOptions() (exchange.Options, error) {
	c := h.config
	o := exchange.Options{
		Branch: c.Branch,
		Epoch:  h.epoch,
		Holder: h.holder,
		Grains: grains(c.Grains),
		Log:    h.log,

		BeatEvery: c.Upstream.Lazy.BeatInterval.Duration,
		Gather:    c.Upstream.Lazy.GatherInterval.Duration,
		LazyWait:  c.Upstream.Lazy.PushWait.Duration,
	}
	if u := c.Upstream; u.Kind == gitcdv1.UpstreamGit {
		o.MovesMain, o.PushEvery, o.Poll, o.Timeout = u.Merger == gitcdv1.MergerSelf, u.PushInterval.Duration, u.PollInterval.Duration, 5*time.Minute
	}
	var err error
	if o.Settings, err = mergeSettings(c.Merge); err != nil {
		return o, err
	}
	var once sync.Once
	o.OnFenced = func(e *exchange.FencedError) {
		once.Do(func() {
			h.log.Error("another writer has the branch: serving ends", "branch", e.Branch, "epoch", e.Epoch, "theirEpoch", e.TheirEpoch, "theirHolder", e.TheirHolder)
			close(h.fenced)
		})
		for _, f := range h.fronts {
			f.stopNow()
		}
	}
	if c.Genesis != nil {
		gate, err := genesisGate(c.Genesis, func(ctx context.Context) error {
			timer := time.NewTimer(200 * time.Millisecond)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil {
			return o, err
		}
		o.Hold = gate
	}
	return o, nil
}
