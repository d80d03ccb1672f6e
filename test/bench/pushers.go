// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

const (
	// pushers are the heavens that push at once.
	pushers = 50
	// pushedDirectories and pushedNames are main's keys.
	pushedDirectories, pushedNames = 100, 100
)

// pusher is a heaven as the hub sees it: a branch that grows by commits.
type pusher struct {
	name    string
	client  transport.Client
	objects map[gitobj.ID]transport.Object
	tree    gitobj.ID
	head    gitobj.ID
	second  int64
}

// Get reads what the pusher made.
func (p *pusher) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	if o, ok := p.objects[id]; ok {
		return o.Kind, o.Data, nil
	}
	return 0, nil, fmt.Errorf("object %s is not here", id)
}

// Has says whether Get finds it.
func (p *pusher) Has(id gitobj.ID) bool { _, ok := p.objects[id]; return ok }

func (p *pusher) add(o transport.Object) gitobj.ID {
	p.objects[o.ID] = o
	return o.ID
}

// commit changes keys.
func (p *pusher) commit(ctx context.Context, keys map[string]string) error {
	e := treeedit.New(p, p.tree)
	for key, value := range keys {
		blob := layout.Blob([]byte(value))
		if err := e.Set(ctx, key, p.add(transport.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, blob), Data: blob})); err != nil {
			return fmt.Errorf("edit: %w", err)
		}
	}
	var err error
	if p.tree, err = e.Write(ctx, func(o treeedit.Object) error {
		p.add(transport.Object{Kind: o.Kind, ID: o.ID, Data: o.Data})
		return nil
	}); err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	p.second++
	who := gitobj.Signature{Name: p.name, Email: "bench@example.org", When: time.Unix(p.second, 0).UTC()}
	c := gitobj.Commit{Tree: p.tree, Author: who, Committer: who, Message: "change\n\nEpoch: 1\nHolder: bench\n"}
	if !p.head.IsZero() {
		c.Parents = []gitobj.ID{p.head}
	}
	data := c.Encode()
	p.head = p.add(transport.Object{Kind: gitobj.KindCommit, ID: gitobj.Hash(gitobj.KindCommit, data), Data: data})
	return nil
}

// push moves the branch at the hub.
func (p *pusher) push(ctx context.Context, from, to gitobj.ID, haves ...gitobj.ID) error {
	items, err := transport.Missing(ctx, p, []gitobj.ID{to}, append(haves, from))
	if err == nil {
		err = p.client.Push(ctx, p, []transport.Command{{Name: "refs/heads/" + p.name, Old: from, New: to}}, items)
	}
	if err != nil {
		return fmt.Errorf("push %s: %w", p.name, err)
	}
	return nil
}

func (f *fleet) pusher(name string) (*pusher, error) {
	dir := filepath.Join(f.dir, filepath.Base(name))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	id, err := f.ca.issue(dir, name)
	if err != nil {
		return nil, err
	}
	client, err := f.ca.client(id)
	if err != nil {
		return nil, err
	}
	return &pusher{
		name: name, objects: map[gitobj.ID]transport.Object{}, second: time.Now().Unix(),
		client: transport.Client{URL: "https://" + f.addr + "/repo.git", HTTP: client},
	}, nil
}

// pushes measures how fast the hub takes in what many heavens push, one commit
// of one key each, until main holds all of it.
func (b *bench) pushes(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, propagationLimit)
	defer cancel()
	f, err := newFleet(ctx, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	first, err := f.pusher("heavens/apiserver")
	if err != nil {
		return err
	}
	vals, keys := newValues(2, false), map[string]string{}
	for i := range pushedDirectories * pushedNames {
		keys[fmt.Sprintf("/registry/pods/ns-%d/pod-%d", i/pushedNames, i%pushedNames)] = vals.next()
	}
	if err := errors.Join(first.commit(ctx, keys), first.push(ctx, gitobj.Zero, first.head)); err != nil {
		return err
	}
	if _, err := f.merged(ctx, first); err != nil {
		return err
	}
	crowd, tips := make([]*pusher, pushers), make([][]gitobj.ID, pushers)
	for i := range crowd {
		if crowd[i], err = f.pusher(fmt.Sprintf("heavens/p%d", i)); err != nil {
			return err
		}
		p := crowd[i]
		p.head, p.tree, p.objects = first.head, first.tree, maps.Clone(first.objects)
		for n := range b.scale.pushed {
			if err := p.commit(ctx, map[string]string{fmt.Sprintf("/registry/pods/ns-%d/pod-%d", i, n%pushedNames): vals.next()}); err != nil {
				return err
			}
			tips[i] = append(tips[i], p.head)
		}
	}
	before, err := cpuSeconds(f.hub.pid)
	if err != nil {
		return err
	}
	began := time.Now()
	errs := make([]error, pushers)
	var group sync.WaitGroup
	for i, p := range crowd {
		group.Go(func() {
			from := gitobj.Zero
			for _, to := range tips[i] {
				if errs[i] = p.push(ctx, from, to, first.head); errs[i] != nil {
					return
				}
				from = to
			}
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	merges, err := f.merged(ctx, crowd...)
	if err != nil {
		return err
	}
	took := time.Since(began)
	after, err := cpuSeconds(f.hub.pid)
	if err != nil {
		return err
	}
	n := float64(pushers * b.scale.pushed)
	b.table.add("coordination.pushes.rate", gitcd, n/took.Seconds())
	b.table.add("coordination.pushes.cpu", gitcd, (after-before)/n*1e6)
	b.table.add("coordination.pushes.commits", gitcd, float64(merges)/n)
	b.say("coordination %d pushes of %d heavens: %.0f/s, %.0f us of the hub's CPU each, %d commits on main", int(n), pushers, n/took.Seconds(), (after-before)/n*1e6, merges)
	return nil
}

// merged waits until main holds the branches' heads, and returns how many merge commits there were.
func (f *fleet) merged(ctx context.Context, ps ...*pusher) (int64, error) {
	want := map[string]string{} // branch -> head
	for _, p := range ps {
		want[p.name] = p.head.String()
	}
	var status struct {
		Merges   int64 `json:"merges"`
		Branches []struct {
			Name   string `json:"name"`
			Head   string `json:"head"`
			Merged bool   `json:"merged"`
		} `json:"branches"`
	}
	for {
		if err := f.ask(ctx, ps[0], &status); err != nil {
			return 0, err
		}
		held := 0
		for _, b := range status.Branches {
			if head, ok := want[b.Name]; ok && b.Merged && b.Head == head {
				held++
			}
		}
		if held == len(want) {
			return status.Merges, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("wait for main to hold %s of %s branches: %w", strconv.Itoa(held), strconv.Itoa(len(want)), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (f *fleet) ask(ctx context.Context, p *pusher, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+f.addr+"/v1/status", http.NoBody)
	if err != nil {
		return fmt.Errorf("read the hub's status: %w", err)
	}
	resp, err := p.client.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("read the hub's status: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("read the hub's status: %w", err)
	}
	return nil
}
