// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"testing"
)

// FuzzCheckpoint opens a store on any checkpoint and any record after it: it says
// that they are malformed, or can be read, written to, saved and opened again.
func FuzzCheckpoint(f *testing.F) {
	log := &MemLog{}
	s, err := Open(f.Context(), log, Options{Epoch: 1})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := s.Grant(f.Context(), 7, 100); err != nil {
		f.Fatal(err)
	}
	for _, key := range []string{"/registry/pods/a", "/registry/pods/b", "/registry/leases/x"} {
		for range 2 {
			if _, err := s.Txn(f.Context(), Txn{Then: []Op{{Put: &Put{Key: key, Value: []byte("{}"), Lease: 7}}}}); err != nil {
				f.Fatal(err)
			}
		}
	}
	if _, err := s.Compact(f.Context(), 4, true); err != nil {
		f.Fatal(err)
	}
	if err := s.Close(f.Context()); err != nil {
		f.Fatal(err)
	}
	payload, _, err := log.LastCheckpoint()
	if err != nil {
		f.Fatal(err)
	}
	objects := log.mu.objects
	f.Add(payload, []byte{recordFormat, recordBatch})
	f.Fuzz(func(t *testing.T, payload, record []byte) {
		log := &MemLog{}
		log.mu.objects = objects
		if _, err := log.Append(t.Context(), []Frame{{Record: []byte("covered")}, {Record: record}}, true); err != nil {
			t.Fatal(err)
		}
		if err := log.Checkpoint(t.Context(), payload, 1); err != nil {
			t.Fatal(err)
		}
		_, _ = Check(t.Context(), log, Options{Epoch: 1}, func(string, string) {})
		s, err := Open(t.Context(), log, Options{Epoch: 1})
		if err != nil {
			return
		}
		defer func() { _ = s.Close(context.Background()) }()
		if _, err := s.Range(t.Context(), RangeRequest{Key: "\x00", End: "\x00"}); err != nil {
			t.Logf("read: %v", err)
		}
		if _, err := s.Txn(t.Context(), Txn{Then: []Op{{Put: &Put{Key: "/new", Value: []byte("new")}}}}); err != nil {
			t.Logf("write: %v", err)
		}
	})
}
