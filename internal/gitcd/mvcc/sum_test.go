// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc_test

import (
	"fmt"
	"hash/crc32"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// reading counts the objects that are read from a log.
type reading struct {
	*mvcc.MemLog
	gets atomic.Int64
}

func (r *reading) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	r.gets.Add(1)
	return r.MemLog.Get(id)
}

// TestEachSum sums every change as it is, and reads no value twice, nor any that it has seen being written.
func TestEachSum(t *testing.T) {
	log := &reading{MemLog: &mvcc.MemLog{}}
	s := open(t, log, mvcc.Options{ValueBudget: 1})
	for i := range 300 {
		do(t, s, put(fmt.Sprintf("/k%d", i%200), strings.Repeat("x", i)))
	}
	do(t, s, remove("/k7"))
	table := crc32.MakeTable(crc32.Castagnoli)
	compare := func(s *mvcc.Store, most int64) {
		t.Helper()
		p, want := all(t, s)
		before := log.gets.Load()
		n := 0
		err := p.EachSum(t.Context(), func(c mvcc.Change) error {
			w := want[n]
			n++
			if c.KV.Key != w.KV.Key || c.KV.ModRevision != w.KV.ModRevision || c.Deleted != w.Deleted || c.KV.Value != nil ||
				c.Size != int64(len(w.KV.Value)) || c.Sum != crc32.Checksum(w.KV.Value, table) {
				t.Errorf("change %d is %+v, want %+v", n, c, w)
			}
			return nil
		})
		if err != nil || n != len(want) {
			t.Fatalf("%d changes of %d, %v", n, len(want), err)
		}
		if read := log.gets.Load() - before; read > most {
			t.Errorf("%d values were read, at most %d need be", read, most)
		}
	}
	const unknown = 2 // an empty value's sum is 0, as one that is not known: these are read each time
	compare(s, unknown)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = open(t, log, mvcc.Options{ValueBudget: 1})
	compare(s, 300)
	compare(s, unknown)
}
