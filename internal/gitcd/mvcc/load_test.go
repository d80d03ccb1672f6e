// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// all returns everything that a store knows.
func all(t *testing.T, s *mvcc.Store) (p *mvcc.Past, changes []mvcc.Change) {
	t.Helper()
	p, err := s.Past(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = p.Each(t.Context(), func(c mvcc.Change) error {
		changes = append(changes, c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, changes
}

func sameStore(t *testing.T, what string, a, b *mvcc.Store) {
	t.Helper()
	pa, ca := all(t, a)
	pb, cb := all(t, b)
	if pa.Revision != pb.Revision || pa.Compacted != pb.Compacted {
		t.Errorf("%s: revision %d, compacted %d; want %d, %d", what, pb.Revision, pb.Compacted, pa.Revision, pa.Compacted)
	}
	if diff := gocmp.Diff(ca, cb, blank()); diff != "" {
		t.Errorf("%s: changes, -want +have:\n%s", what, diff)
	}
	if diff := gocmp.Diff(pa.Leases, pb.Leases, cmpopts.IgnoreUnexported(mvcc.Lease{}), cmpopts.IgnoreFields(mvcc.Lease{}, "Remaining")); diff != "" {
		t.Errorf("%s: leases, -want +have:\n%s", what, diff)
	}
}

// TestLoad copies a store by what it knows, and opens the copy again, for reading too.
func TestLoad(t *testing.T) {
	s := open(t, &mvcc.MemLog{}, mvcc.Options{})
	grant(t, s, 7, 1000)
	both := mvcc.Txn{Then: append(put("/a", "1").Then, put("/b", "1").Then...)}
	do(t, s, put("/gone", "1"), both, put("/a", "2"), leased("/l", 7), remove("/gone"), both, put("/c", "1"))
	if _, err := s.Compact(t.Context(), 6, true); err != nil {
		t.Fatal(err)
	}
	do(t, s, remove("/c"), put("/c", "2"), put("/d", "1"))
	p, _ := all(t, s)

	log := &mvcc.MemLog{}
	c := open(t, log, mvcc.Options{})
	err := c.Load(t.Context(), mvcc.Image{Revision: p.Revision, Compacted: p.Compacted, Leases: p.Leases, Each: p.Each})
	if err != nil {
		t.Fatal(err)
	}
	if l, err := c.Lease(7, true); err != nil || len(l.Keys) != 1 {
		t.Errorf("lease %+v, %v", l, err)
	}
	_, want := all(t, s)
	_, have := all(t, c)
	// What was deleted at the compacted revision itself left nothing to delete.
	want = slices.DeleteFunc(want, func(c mvcc.Change) bool { return c.Deleted && c.KV.ModRevision == p.Compacted })
	if diff := gocmp.Diff(want, have, blank()); diff != "" {
		t.Errorf("changes, -want +have:\n%s", diff)
	}
	if err := c.Load(t.Context(), mvcc.Image{Each: p.Each}); !errors.Is(err, mvcc.ErrNotEmpty) {
		t.Errorf("loaded twice: %v", err)
	}
	if _, err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := open(t, log, mvcc.Options{})
	sameStore(t, "from the records", c, again)
	if err := again.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := open(t, log, mvcc.Options{Holder: "reader", ReadOnly: true})
	sameStore(t, "for reading", c, read)
	if _, err := read.Txn(t.Context(), put("/a", "9")); !errors.Is(err, mvcc.ErrReadOnly) {
		t.Errorf("put: %v", err)
	}
	if err := read.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestPastIsBounded stops reading it.
func TestPastIsBounded(t *testing.T) {
	s := open(t, &mvcc.MemLog{}, mvcc.Options{})
	do(t, s, put("/a", "1"), put("/b", "1"))
	p, _ := all(t, s)
	stop := errors.New("enough")
	n := 0
	if err := p.Each(context.Background(), func(mvcc.Change) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d changes, %v", n, err)
	}
}
