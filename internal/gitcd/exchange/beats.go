// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/beat"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// pulse is what travels beside Git, both ways: leases that are only renewed.
//
//	store.Waiting ── every BeatEvery ──► renewed alone? ── yes ──► Upstream.Beat ──► others
//	                                          └─ no, or nobody takes it ──► Flush: a commit
//	stream ──► heard ──► store.Aside
type pulse struct {
	wake chan struct{} // holds one token when something was heard

	// mu guards what follows.
	mu    sync.Mutex
	heard map[string]beat.Beat // the last of each lease
	fresh map[string]bool      // those that the store may not have
	beats time.Time            // when something was taken last

	// beatOn owns what follows.
	class map[string]string // key -> what its value says beside times, as far as it is in a commit
	said  map[string]string // key -> the last time that was taken
	since time.Time         // since when a change waits that cannot travel so
}

func newPulse() *pulse {
	return &pulse{
		wake: make(chan struct{}, 1), heard: map[string]beat.Beat{}, fresh: map[string]bool{},
		class: map[string]string{}, said: map[string]string{},
	}
}

func (p *pulse) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// hear notes what others renewed.
func (p *pulse) hear(beats []beat.Beat) {
	p.mu.Lock()
	for _, b := range beats {
		p.heard[b.Key], p.fresh[b.Key] = b, true
	}
	p.mu.Unlock()
	p.signal()
}

// again has all that was heard looked at once more: a merge has brought older times.
func (p *pulse) again() {
	p.mu.Lock()
	for key := range p.heard {
		p.fresh[key] = true
	}
	some := len(p.fresh) > 0
	p.mu.Unlock()
	if some {
		p.signal()
	}
}

// last returns when the upstream took a beat last, zero if it never did.
func (p *pulse) last() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.beats
}

// retell is after how many rounds all is said and taken in once more.
const retell = 6

// beatOn says and hears what leases are renewed, until the context ends.
func (x *Exchange) beatOn(ctx context.Context) {
	if x.o.Beside == nil {
		return
	}
	tick := x.o.Clock.NewTicker(x.o.BeatEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tick.C():
			if n%retell == 0 { // a hub that was started anew has forgotten, and so may a stream
				clear(x.pulse.said)
				x.pulse.again()
			}
			err = x.tell(ctx)
		case <-x.pulse.wake:
			err = x.takeIn(ctx)
		}
		if err != nil && ctx.Err() == nil {
			x.o.Log.Warn("renewals of leases go by Git alone for now", "branch", x.o.Branch, "err", err)
		}
	}
}

// tell says what was renewed here. What cannot be said so is committed, in time.
func (x *Exchange) tell(ctx context.Context) error {
	p := x.pulse
	waiting, err := x.o.Beside.Waiting(ctx)
	if err != nil {
		return fmt.Errorf("read what waits for a commit: %w", err)
	}
	left := map[string]string{} // key -> class, of what goes by Git
	wait := x.o.Gather
	var beats []beat.Beat
	for _, w := range waiting {
		class, ok := beat.Class(w.Value)
		switch b, _ := beat.Of(w.Key, w.Value); {
		case !ok || p.class[w.Key] != class:
			left[w.Key], wait = class, x.o.LazyWait // it was made, changed hands, or is none
		case p.said[w.Key] != b.Time:
			beats = append(beats, b)
		}
	}
	refused, err := x.say(ctx, beats)
	for _, key := range refused {
		left[key] = p.class[key]
		delete(p.class, key)
	}
	if len(left) == 0 {
		p.since = time.Time{}
		return err
	}
	now := x.o.Clock.Now()
	if p.since.IsZero() {
		p.since = now
	}
	if now.Before(p.since.Add(wait)) {
		return err
	}
	if _, err := x.store.Flush(ctx); err != nil {
		return fmt.Errorf("commit leases: %w", err)
	}
	maps.Copy(p.class, left)
	p.since = time.Time{}
	return err
}

// say hands in beats, and returns the keys of those that were not taken.
func (x *Exchange) say(ctx context.Context, beats []beat.Beat) (refused []string, err error) {
	if len(beats) == 0 {
		return nil, nil
	}
	call, cancel := x.within(ctx, x.o.Timeout)
	defer cancel()
	if refused, err = x.up.Beat(call, beats); err != nil {
		for _, b := range beats {
			refused = append(refused, b.Key)
		}
		return refused, reason(call, err)
	}
	for _, b := range beats {
		if !slices.Contains(refused, b.Key) {
			x.pulse.said[b.Key] = b.Time
		}
	}
	x.pulse.mu.Lock()
	x.pulse.beats = x.o.Clock.Now()
	x.pulse.mu.Unlock()
	return refused, nil
}

// takeIn puts into the store what others renewed. Leases that are not here are forgotten: if they come, so does their next beat.
func (x *Exchange) takeIn(ctx context.Context) error {
	p := x.pulse
	p.mu.Lock()
	fresh := make(map[string]beat.Beat, len(p.fresh))
	for key := range p.fresh {
		fresh[key] = p.heard[key]
	}
	clear(p.fresh)
	p.mu.Unlock()
	gone := maps.Clone(fresh)
	_, err := x.o.Beside.Aside(ctx, slices.Sorted(maps.Keys(fresh)), func(key string, value []byte) ([]byte, bool) {
		delete(gone, key)
		return fresh[key].Apply(value)
	})
	if err != nil {
		return fmt.Errorf("take in renewals: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, b := range gone {
		if p.heard[key] == b {
			delete(p.heard, key)
		}
	}
	return nil
}

// Beat hands in which leases were renewed.
func (r *Remote) Beat(ctx context.Context, beats []beat.Beat) (refused []string, err error) {
	if r.BeatURL == "" {
		return nil, ErrNoStream
	}
	body, err := json.Marshal(map[string]any{"beats": beats})
	if err != nil {
		return nil, fmt.Errorf("say what leases were renewed: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.BeatURL, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("say what leases were renewed: %w", err)
	}
	resp, err := r.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("say what leases were renewed: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, longestPack))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = &transport.StatusError{Code: resp.StatusCode, URL: r.BeatURL, Text: strings.TrimSpace(string(text[:min(len(text), 512)]))}
	}
	var answer struct {
		Refused []string `json:"refused"`
	}
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil {
		return nil, fmt.Errorf("say what leases were renewed: %w", err)
	}
	return answer.Refused, nil
}
