// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// house is a repository with the heavens whose branches it has. One has
// everything that the configuration says; several each have their part of it.
type house struct {
	config  *gitcdv1.Config
	log     *slog.Logger
	journal *journal.Journal
	heavens []*heaven
	stores  *branch.Stores
}

// serveBranches serves until the context ends, a branch is lost or a store fails.
func serveBranches(ctx context.Context, c *gitcdv1.Config) error {
	h := &house{config: c, log: newLogger(c.Logging)}
	var err error
	if h.journal, err = openJournal(ctx, c); err != nil {
		return err
	}
	if err = h.open(ctx); err == nil {
		err = h.run(ctx)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if h.stores != nil {
		err = errors.Join(err, h.stores.Close(last))
	}
	return errors.Join(err, h.journal.Close(last))
}

// open opens all stores. A branch with an upstream is first taken.
func (h *house) open(ctx context.Context) error {
	options := []mvcc.Options{}
	for _, c := range alone(h.config) {
		one := &heaven{config: c, log: h.log, fenced: make(chan struct{})}
		if len(h.config.Branches) > 0 {
			one.holder = c.Author.Name
		} else if err := one.take(ctx, h.journal); err != nil {
			return err
		}
		h.heavens = append(h.heavens, one)
		o, err := one.storeOptions()
		if err != nil {
			return err
		}
		options = append(options, o)
	}
	stores, err := branch.OpenStores(ctx, h.journal, options)
	if err != nil {
		return err
	}
	h.stores = stores
	for i, one := range h.heavens {
		if err := one.enter(h.journal, stores.Each[i]); err != nil {
			return err
		}
	}
	return nil
}

// alone returns a configuration for each branch, as if it were the only one.
func alone(c *gitcdv1.Config) []*gitcdv1.Config {
	if len(c.Branches) == 0 {
		return []*gitcdv1.Config{c}
	}
	var out []*gitcdv1.Config
	for _, b := range c.Branches {
		one := *c
		one.Branches = nil
		one.Branch, one.Author, one.Member, one.Listeners, one.Events = b.Name, b.Author, b.Member, b.Listeners, b.Events
		one.Keys, one.Grains, one.Start, one.Pulls = b.Keys, b.Grains, b.Start, b.Pulls
		out = append(out, &one)
	}
	return out
}

// run serves all branches. When one ends, all do: whoever restarts the process gets all back.
func (h *house) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if h.config.StatusListen != "" {
		l, err := listenTCP(ctx, h.config.StatusListen)
		if err != nil {
			return err
		}
		group.Go(func() error { return serveHTTP(ctx, l, h.statusHandler(), time.Second) })
	}
	if c := h.config.Hooks; c != nil {
		group.Go(func() error { return serveHooks(ctx, c, h.hint) })
	}
	if c := h.config.Git; c != nil {
		group.Go(func() error { return serveGit(ctx, c, h.journal, branchRef(h.heavens[0].config.Branch)) })
	}
	for _, one := range h.heavens {
		group.Go(func() error { return one.run(ctx) })
	}
	serving, stop := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() { h.upkeep().run(serving) })
	defer background.Wait()
	defer stop()
	return group.Wait()
}

// hint has those asked that are polled.
func (h *house) hint() {
	for _, one := range h.heavens {
		one.hint()
	}
}

// healthy returns why some store takes no changes.
func (h *house) healthy() error {
	var errs []error
	for _, one := range h.heavens {
		errs = append(errs, one.branch.Store.Healthy())
	}
	return errors.Join(errs...)
}

func (h *house) statusHandler() http.Handler {
	mux := http.NewServeMux()
	health := func(w http.ResponseWriter, _ *http.Request) { answerHealth(w, h.healthy()) }
	mux.HandleFunc("GET /healthz", health)
	mux.HandleFunc("GET /readyz", health)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := writeReport(w, h.report()); err != nil {
			h.log.Debug("status was not read to its end", "err", err)
		}
	})
	mux.Handle("GET /metrics", metricsHandler(h.journal, h.heavens))
	addProfiles(mux)
	return mux
}

// report has one branch's fields at its top, as ever, and those of several in a list.
func (h *house) report() report {
	if len(h.heavens) == 1 {
		return h.heavens[0].report()
	}
	out := report{Version: version}
	for _, one := range h.heavens {
		r := one.report()
		r.Version = ""
		out.Branches = append(out.Branches, r)
	}
	return out
}

func (h *house) upkeep() *upkeep {
	days, _ := h.config.History.Retention.Days() // it was validated
	return &upkeep{log: h.log, j: h.journal, stores: h.stores.Each, days: days}
}
