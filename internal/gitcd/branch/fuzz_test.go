// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch

import (
	"bytes"
	"testing"
)

// FuzzTable reads any table of branches: what is taken says the same when it is written and read again.
func FuzzTable(f *testing.F) {
	f.Add(table{{name: "refs/heads/a", upTo: 3, payload: []byte("p"), tail: []kept{{seq: 4, record: []byte("r")}}}, {name: "refs/heads/b"}}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if !isTable(data) {
			return
		}
		have, err := decodeTable(data)
		if err != nil {
			return
		}
		again, err := decodeTable(have.encode())
		if err != nil || !bytes.Equal(have.encode(), again.encode()) {
			t.Fatalf("read again it is different: %v, %v; %v", have, again, err)
		}
	})
}

// FuzzTag reads any record's branch.
func FuzzTag(f *testing.F) {
	f.Add(tag(3, []byte("record")))
	f.Fuzz(func(t *testing.T, record []byte) {
		if len(record) == 0 {
			return
		}
		n, own, err := untag(1, record)
		if err != nil || len(own) == 0 {
			return
		}
		if m, again, err := untag(1, tag(n, own)); err != nil || m != n || !bytes.Equal(own, again) {
			t.Fatalf("%d %q is %d %q, %v", n, own, m, again, err)
		}
	})
}
