// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// repackInterval is how often a running gitcd looks whether there is something to be folded.
const repackInterval = time.Minute

// Sealed segments are folded once a checkpoint covers their records. When as
// many as saveSegments wait for one, it is asked for, but not more often than saveInterval says.
const (
	saveSegments = 8
	saveInterval = 5 * time.Minute
)

// shortenInterval is how often history is shortened that is not kept for ever.
const shortenInterval = 24 * time.Hour

// upkeep looks after the history of a repository that is served.
type upkeep struct {
	log    *slog.Logger
	j      *journal.Journal
	stores []*mvcc.Store
	// days is how many days of history are kept, 0 for all.
	days int

	told      string    // the last failure that was logged
	shortened time.Time // when that was last done
}

// run does what is due, until the context ends.
func (u *upkeep) run(ctx context.Context) {
	var folding sync.WaitGroup
	defer folding.Wait()
	folding.Go(func() { u.j.RepackEvery(ctx, repackInterval) })
	for tick := time.NewTicker(saveInterval); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		u.tell(ctx, u.j.History().Err)
		if u.j.History().Waiting >= saveSegments {
			for _, s := range u.stores {
				if err := s.Save(ctx); err != nil {
					u.log.Warn("the store could not be saved", "err", err)
				}
			}
		}
		if u.days > 0 && time.Since(u.shortened) >= shortenInterval {
			u.shortened = time.Now()
			u.tell(ctx, u.shorten(ctx))
		}
	}
}

// shorten lets go of what is older than the days that are kept.
func (u *upkeep) shorten(ctx context.Context) error {
	s, err := u.j.Shorten(ctx, time.Now().AddDate(0, 0, -u.days))
	if err != nil {
		return err
	}
	if err := branch.Repack(ctx, u.j, u.stores...); err != nil {
		return err
	}
	u.log.Info("shortened the history", "days", u.days, "commits", s.Commits, "daysKept", s.Checkpoints)
	return nil
}

// tell logs a failure, once.
func (u *upkeep) tell(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	if text := err.Error(); text != u.told {
		u.told = text
		u.log.Error("the history cannot be repacked; everything is kept", "err", text)
	}
}

// checkShallow refuses to exchange a history that was shortened.
func checkShallow(c *gitcdv1.Config, j *journal.Journal) error {
	pulls := len(c.Pulls) > 0
	for i := range c.Branches {
		pulls = pulls || len(c.Branches[i].Pulls) > 0
	}
	if j.Shallow() && (c.Hub != nil || c.Upstream != nil || pulls) {
		return &usageError{fmt.Errorf("the history of %s was shortened: it cannot be merged with that of others; remove hub, upstream and pulls, or begin with a new repository", c.Repository)}
	}
	return nil
}

// historyReport is what /status says of the sealed history.
type historyReport struct {
	Packs      int        `json:"packs"`
	Bytes      int64      `json:"bytes"`
	Waiting    int        `json:"segmentsToFold"`
	Superseded int        `json:"supersededPacks"`
	Repacks    int64      `json:"repacks"`
	Saved      int64      `json:"savedBytes"`
	Last       *time.Time `json:"lastRepack,omitempty"`
	Error      string     `json:"error,omitempty"`
}

func historyOf(j *journal.Journal) *historyReport {
	h := j.History()
	r := &historyReport{Packs: h.Packs, Bytes: h.Bytes, Waiting: h.Waiting, Superseded: h.Superseded, Repacks: h.Repacks, Saved: h.Saved}
	if !h.Last.IsZero() {
		r.Last = &h.Last
	}
	if h.Err != nil {
		r.Error = h.Err.Error()
	}
	return r
}

func historyMetrics(gauge func(name, help string, value func() float64), j *journal.Journal) {
	gauge("gitcd_history_packs", "Packs of sealed history.", func() float64 { return float64(j.History().Packs) })
	gauge("gitcd_history_bytes", "Bytes of these packs.", func() float64 { return float64(j.History().Bytes) })
	gauge("gitcd_history_segments_to_fold", "Sealed segments that are not folded yet.", func() float64 { return float64(j.History().Waiting) })
	gauge("gitcd_history_repacks_total", "Repacks since the start.", func() float64 { return float64(j.History().Repacks) })
	gauge("gitcd_history_saved_bytes_total", "Bytes that these repacks saved.", func() float64 { return float64(j.History().Saved) })
	gauge("gitcd_history_repack_failed", "1 if the last repack failed.", func() float64 {
		if j.History().Err != nil {
			return 1
		}
		return 0
	})
	gauge("gitcd_history_last_repack_timestamp_seconds", "When the last repack ended, 0 if there was none.", func() float64 {
		if last := j.History().Last; !last.IsZero() {
			return float64(last.Unix())
		}
		return 0
	})
}

// historyCollectors are these metrics for a registry of others.
func historyCollectors(j *journal.Journal) []prometheus.Collector {
	var out []prometheus.Collector
	historyMetrics(func(name, help string, value func() float64) {
		out = append(out, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}, j)
	return out
}
