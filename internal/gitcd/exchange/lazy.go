// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/beat"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// hubLazy is the push option that tells a hub that a push may wait for company.
const hubLazy = "lazy"

// waits says whether a head holds nothing but lazy changes, and whether these
// are still to wait for company.
func (x *Exchange) waits(ctx context.Context, head gitobj.ID, now time.Time) (lazy, wait bool, err error) {
	base := x.own
	if !x.joined.IsZero() {
		base = x.joined
	}
	if lazy, err = x.onlyLazy(ctx, base, head); err != nil {
		return false, false, fmt.Errorf("compare with what was pushed: %w", err)
	}
	if !lazy || x.urgent {
		x.lazy = time.Time{}
		return false, false, nil
	}
	if x.lazy.IsZero() {
		x.lazy = now
	}
	if now.Before(x.lazy.Add(x.o.LazyWait)) {
		return true, true, nil
	}
	x.lazy = time.Time{}
	return true, false, nil
}

// A main with nothing but lazy changes waits to be joined for lazyPull, as long
// as this heaven pushed lazily itself in the last lazyWriter: others' heartbeats
// are in no haste, and one's own keep each join from being a mere step forward.
func (x *Exchange) lazyPull() time.Duration   { return 30 * x.o.LazyWait }
func (x *Exchange) lazyWriter() time.Duration { return 9 * x.o.LazyWait }

// idles says whether main may wait to be joined. It may where this heaven writes
// lazily: there each main that is joined in between costs a merge, which is
// pushed, merged and fetched in turn. Where nothing is written, joining costs nothing.
func (x *Exchange) idles(ctx context.Context) (bool, error) {
	now, wrote := x.o.Clock.Now(), x.lazily
	if said := x.pulse.last(); said.After(wrote) {
		wrote = said
	}
	if x.joined.IsZero() || wrote.IsZero() || !now.Before(wrote.Add(x.lazyWriter())) {
		return false, nil
	}
	if x.o.Beside != nil {
		held, err := x.holds(ctx, x.main, x.store.Head())
		if err != nil || held {
			return false, err // a mere step forward
		}
	}
	lazy, err := x.onlyLazy(ctx, x.joined, x.main)
	if err != nil {
		return false, fmt.Errorf("compare main with what it was: %w", err)
	}
	if !lazy {
		return false, nil
	}
	if x.heard.IsZero() {
		x.heard = now
	}
	return now.Before(x.heard.Add(x.lazyPull())), nil
}

var errUrgent = errors.New("a change that is not lazy")

// onlyLazy says whether nothing but lazy changes lie between two commits.
func (x *Exchange) onlyLazy(ctx context.Context, from, to gitobj.ID) (bool, error) {
	if from.IsZero() || !x.repo.Has(from) {
		return false, nil
	}
	there, err := x.treeOf(from)
	if err != nil {
		return false, err
	}
	here, err := x.treeOf(to)
	if err != nil {
		return false, err
	}
	err = treeedit.Diff(ctx, x.repo, there, here, func(key string, was, is gitobj.ID) error {
		if x.o.Grains.Of(key) == layout.Batch && x.patient(was, is) || x.heartbeat(key, was, is) {
			return nil
		}
		return errUrgent
	})
	if errors.Is(err, errUrgent) {
		return false, nil
	}
	return err == nil, err
}

// patient says whether a change of a lazy key may wait. Where a hub passes on
// that leases are renewed, others count on it that a lease which is made,
// changes hands or goes is known soon.
func (x *Exchange) patient(was, is gitobj.ID) bool {
	if x.o.Beside == nil || !x.news.hub() {
		return true
	}
	before, ok := x.class(was)
	if !ok {
		return false
	}
	after, ok := x.class(is)
	return ok && before == after
}

func (x *Exchange) class(blob gitobj.ID) (string, bool) {
	if blob.IsZero() {
		return "", false
	}
	_, data, err := x.repo.Get(blob)
	if err != nil {
		return "", false
	}
	value, err := layout.Value(data)
	if err != nil {
		return "", false
	}
	return beat.Class(value)
}

// nodes is where the objects are that a kubelet writes to say that it lives.
const nodes = "/registry/minions/"

// heartbeat says whether a change of a node says nothing but that it lives.
func (x *Exchange) heartbeat(key string, was, is gitobj.ID) bool {
	if !strings.HasPrefix(key, nodes) || was.IsZero() || is.IsZero() {
		return false
	}
	before, ok := x.silent(was)
	if !ok {
		return false
	}
	after, ok := x.silent(is)
	return ok && reflect.DeepEqual(before, after)
}

// silent reads a node without the times of its heartbeats. A value that is not
// a node as we know it has none.
func (x *Exchange) silent(blob gitobj.ID) (map[string]any, bool) {
	_, data, err := x.repo.Get(blob)
	if err != nil {
		return nil, false
	}
	value, err := layout.Value(data)
	if err != nil {
		return nil, false
	}
	var node map[string]any
	if err := json.Unmarshal(value, &node); err != nil {
		return nil, false
	}
	for _, at := range []struct{ part, list, time string }{
		{"status", "conditions", "lastHeartbeatTime"},
		{"metadata", "managedFields", "time"},
	} {
		part, _ := node[at.part].(map[string]any)
		items, _ := part[at.list].([]any)
		for _, item := range items {
			if fields, ok := item.(map[string]any); ok {
				delete(fields, at.time)
			}
		}
	}
	return node, true
}
