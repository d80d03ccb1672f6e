// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

const peerHeader = "X-Test-Peer"

func byHeader(r *http.Request) (string, error) {
	if name := r.Header.Get(peerHeader); name != "" {
		return name, nil
	}
	return "", errors.New("who are you?")
}

// rig is a running hub.
type rig struct {
	t       testing.TB
	journal *journal.Journal
	hub     *hub.Hub
	url     string
}

func start(tb testing.TB, o hub.Options) *rig {
	tb.Helper()
	j, err := journal.Open(tb.Context(), &vfs.Mem{}, "hub", journal.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	r := serve(tb, j, o)
	r.run()
	return r
}

func serve(tb testing.TB, j *journal.Journal, o hub.Options) *rig {
	tb.Helper()
	if o.Identify == nil {
		o.Identify = byHeader
	}
	r := &rig{t: tb, journal: j, hub: hub.New(j, o)}
	server := httptest.NewServer(r.hub.Handler())
	tb.Cleanup(func() {
		server.Close()
		if err := j.Close(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	r.url = server.URL
	return r
}

// run runs the merge loop until the test ends.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.hub.Run(ctx); err != nil {
			r.t.Errorf("run: %v", err)
		}
	})
	r.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

func (r *rig) pass() {
	r.t.Helper()
	if err := r.hub.Pass(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

type asPeer string

func (p asPeer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(peerHeader, string(p))
	return http.DefaultTransport.RoundTrip(r)
}

// author is somebody who makes commits and pushes them.
type author struct {
	rig    *rig
	name   string
	client transport.Client

	mu      sync.Mutex
	objects map[gitobj.ID]transport.Object
	head    gitobj.ID
	tree    gitobj.ID
	pushed  gitobj.ID
	second  int64
}

func (r *rig) author(name string) *author {
	return &author{
		rig: r, name: name, objects: map[gitobj.ID]transport.Object{}, second: 1_700_000_000,
		client: transport.Client{URL: r.url + "/repo.git", HTTP: &http.Client{Transport: asPeer(name)}},
	}
}

// Get reads what was made here, or what the hub has.
func (a *author) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o, ok := a.objects[id]; ok {
		return o.Kind, o.Data, nil
	}
	return a.rig.journal.Get(id)
}

func (a *author) Has(id gitobj.ID) bool {
	_, _, err := a.Get(id)
	return err == nil
}

func (a *author) add(kind gitobj.Kind, data []byte) gitobj.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	id := gitobj.Hash(kind, data)
	a.objects[id] = transport.Object{Kind: kind, ID: id, Data: data}
	return id
}

// commit changes keys, a value that is empty being a deletion, on top of parents or, without, the own head.
func (a *author) commit(keys map[string]string, parents ...gitobj.ID) gitobj.ID {
	a.rig.t.Helper()
	if len(parents) == 0 && !a.head.IsZero() {
		parents = []gitobj.ID{a.head}
	}
	e := treeedit.New(a, a.tree)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		var err error
		if value := keys[key]; value == "" {
			err = e.Delete(a.rig.t.Context(), key)
		} else {
			err = e.Set(a.rig.t.Context(), key, a.add(gitobj.KindBlob, layout.Blob([]byte(value))))
		}
		if err != nil {
			a.rig.t.Fatal(err)
		}
	}
	tree, err := e.Write(a.rig.t.Context(), func(o treeedit.Object) error {
		a.add(o.Kind, o.Data)
		return nil
	})
	if err != nil {
		a.rig.t.Fatal(err)
	}
	a.second++
	who := gitobj.Signature{Name: a.name, Email: "a@example.org", When: time.Unix(a.second, 0).UTC()}
	c := gitobj.Commit{Tree: tree, Parents: parents, Author: who, Committer: who, Message: "change\n\nEpoch: 4\nHolder: me\n"}
	a.tree, a.head = tree, a.add(gitobj.KindCommit, c.Encode())
	return a.head
}

// take moves the author to a commit of the hub's.
func (a *author) take(id gitobj.ID) {
	a.rig.t.Helper()
	a.head, a.tree = id, a.rig.commit(id).Tree
}

func (a *author) push() error { return a.pushTo("refs/heads/"+a.name, a.pushed, a.head) }

func (a *author) pushTo(ref string, from, to gitobj.ID) error {
	items, err := transport.Missing(a.rig.t.Context(), a, []gitobj.ID{to}, []gitobj.ID{from})
	if err != nil {
		return err
	}
	if err := a.client.Push(a.rig.t.Context(), a, []transport.Command{{Name: ref, Old: from, New: to}}, items); err != nil {
		return err
	}
	if ref == "refs/heads/"+a.name {
		a.pushed = to
	}
	return nil
}

func (a *author) mustPush() {
	a.rig.t.Helper()
	if err := a.push(); err != nil {
		a.rig.t.Fatalf("%s: %v", a.name, err)
	}
}

func (r *rig) commit(id gitobj.ID) gitobj.Commit {
	r.t.Helper()
	_, data, err := r.journal.Get(id)
	if err != nil {
		r.t.Fatal(err)
	}
	c, err := gitobj.DecodeCommit(data)
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// main waits until main holds the branches, and returns it.
func (r *rig) main(names ...string) gitobj.ID {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		s := r.hub.Status()
		merged := 0
		for _, b := range s.Branches {
			if slices.Contains(names, b.Name) && b.Merged != nil && *b.Merged {
				merged++
			}
		}
		if merged == len(names) {
			id, err := gitobj.ParseID(s.Main)
			if err != nil {
				r.t.Fatal(err)
			}
			return id
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("branches are not merged: %+v", s)
		}
		time.Sleep(time.Millisecond)
	}
}

// keys returns what a commit's tree holds.
func (r *rig) keys(id gitobj.ID) map[string]string {
	r.t.Helper()
	out := map[string]string{}
	err := treeedit.Walk(r.t.Context(), r.journal, r.commit(id).Tree, func(key string, blob gitobj.ID) error {
		_, data, err := r.journal.Get(blob)
		if err != nil {
			return err
		}
		value, err := layout.Value(data)
		out[key] = string(value)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}
