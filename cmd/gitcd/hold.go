// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
)

// holdTick is how often the link is looked at: much less than any hold's After.
const holdTick = 500 * time.Millisecond

// hold is a configured hold and whether it is on.
//
//	start ── in touch within After ──► off ── out of touch for After ──► on ── in touch ──► on for Settle ──► off
//	  └───── on meanwhile; longer ─────────────────────────────────────► on
type hold struct {
	gitcdv1.Hold
	on atomic.Bool

	// What follows is the watcher's.
	lost  time.Time // since when the upstream is out of touch
	until time.Time // when the hold ends, if the upstream stays in touch; zero while it is not
	long  bool      // it was out of touch for After
}

// holds are those of a branch.
type holds struct {
	all   []*hold
	clock clock.WithTicker
	log   *slog.Logger
}

// newHolds returns holds that are on until the upstream has been heard of.
func newHolds(configured []gitcdv1.Hold, clk clock.WithTicker, log *slog.Logger) *holds {
	h := &holds{clock: clk, log: log}
	for _, c := range configured {
		one := &hold{Hold: c, lost: clk.Now()}
		one.on.Store(true)
		h.all = append(h.all, one)
	}
	return h
}

// watch looks at the link until the context ends.
func (h *holds) watch(ctx context.Context, inTouch func() bool) error {
	tick := h.clock.NewTicker(holdTick)
	defer tick.Stop()
	for {
		h.look(inTouch())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C():
		}
	}
}

func (h *holds) look(inTouch bool) {
	now := h.clock.Now()
	for _, one := range h.all {
		was := one.on.Load()
		is := one.step(now, inTouch)
		if one.on.Store(is); is != was {
			h.log.Info("a hold on writes changed", "prefix", one.Prefix, "on", is, "inTouch", inTouch)
		}
	}
}

// step says whether the hold is on, now that the link is up or not.
func (h *hold) step(now time.Time, inTouch bool) bool {
	if !inTouch {
		if h.lost.IsZero() {
			h.lost = now
		}
		h.until = time.Time{}
		h.long = h.long || now.Sub(h.lost) >= h.After.Duration
		return h.long || h.on.Load()
	}
	if !h.lost.IsZero() { // just back
		h.long = h.long || now.Sub(h.lost) >= h.After.Duration
		h.lost, h.until = time.Time{}, now
		if h.long {
			h.until = now.Add(h.Settle.Duration)
		}
	}
	if now.Before(h.until) {
		return true
	}
	h.long = false
	return false
}

// held says whether one of the keys from key to end may not be written now. As
// in etcd, an empty end means one key, and a zero byte all that follow.
func (h *holds) held(key, end string) bool {
	for _, one := range h.all {
		if one.on.Load() && touches(key, end, one.Prefix) {
			return true
		}
	}
	return false
}

func touches(key, end, prefix string) bool {
	if strings.HasPrefix(key, prefix) {
		return true
	}
	return end != "" && key < prefix && (end == "\x00" || end > prefix)
}
