// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// counted counts what is read.
type counted struct {
	*memory
	reads atomic.Int64
}

func (c *counted) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	c.reads.Add(1)
	return c.memory.Get(id)
}

// TestSharedPacks lets many clients fetch the same step: each gets it, and it is made once.
func TestSharedPacks(t *testing.T) {
	m := newMemory()
	before := history(m, 50)
	c := &counted{memory: m}
	server := httptest.NewServer(NewServer(c, ServerOptions{}))
	t.Cleanup(server.Close)
	client := &Client{URL: server.URL, HTTP: httpClient()}
	start := newMemory()
	m.closure(t, before, start)
	files := map[string]string{"registry/new": "1"}
	main := m.commit(m.tree(files), "step", before)
	var fetching sync.WaitGroup
	for range 20 {
		fetching.Go(func() {
			came, err := client.Fetch(t.Context(), start, []gitobj.ID{main}, []gitobj.ID{before})
			if err != nil || len(came) != 4 {
				t.Errorf("%d objects: %v", len(came), err)
			}
		})
	}
	fetching.Wait()
	if n := c.reads.Load(); n > 20*3+30 { // each looks at what it wants; one makes the pack
		t.Errorf("20 clients made the server read %d objects", n)
	}
	next := m.commit(m.tree(map[string]string{"registry/new": "2"}), "step", main)
	if _, err := client.Fetch(t.Context(), start, []gitobj.ID{next}, []gitobj.ID{before}); err != nil {
		t.Error(err)
	}
}
