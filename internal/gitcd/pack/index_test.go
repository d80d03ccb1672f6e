// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// counted counts what is read of an index.
type counted struct {
	*bytes.Reader
	bytes int
}

func (c *counted) ReadAt(b []byte, off int64) (int, error) {
	c.bytes += len(b)
	return c.Reader.ReadAt(b, off)
}

// TestIndexFind finds each id of indexes of many sizes, and none that is not there: of ids that are spread
// evenly, as hashes are, and of ids that somebody has chosen to be elsewhere than they are expected.
func TestIndexFind(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draws := map[string]func() gitobj.ID{
		"even": func() (id gitobj.ID) {
			for i := range id {
				id[i] = byte(random.IntN(256))
			}
			return id
		},
		"one first byte": func() (id gitobj.ID) {
			binary.BigEndian.PutUint64(id[1:], random.Uint64())
			return id
		},
		"crowded at the end": func() (id gitobj.ID) {
			copy(id[:], "\x07\xff\xff\xff\xff\xff")
			binary.BigEndian.PutUint64(id[6:], random.Uint64())
			return id
		},
		"crowded at the start": func() (id gitobj.ID) {
			binary.BigEndian.PutUint64(id[12:], random.Uint64())
			return id
		},
	}
	for what, draw := range draws {
		for _, n := range []int{1, 2, 63, 64, 65, 1000, 40_000} {
			t.Run(fmt.Sprint(what, " ", n), func(t *testing.T) {
				entries := make([]pack.IndexEntry, n)
				want := map[gitobj.ID]int64{}
				for i := range entries {
					entries[i] = pack.IndexEntry{ID: draw(), Offset: int64(i)}
					want[entries[i].ID] = int64(i)
				}
				data := pack.AppendIndex(nil, entries, gitobj.ID{})
				r := &counted{Reader: bytes.NewReader(data)}
				x, err := pack.OpenIndex(r, int64(len(data)))
				if err != nil {
					t.Fatal(err)
				}
				r.bytes = 0
				for id, off := range want {
					if have, found, err := x.Find(id); err != nil || !found || have != off {
						t.Fatalf("%s: %d, %v, %v; want %d", id, have, found, err, off)
					}
				}
				if each := r.bytes / n; what == "even" && each > 4+64*gitobj.IDSize {
					t.Errorf("%d bytes are read for each id", each)
				}
				for range 2000 {
					id := draw()
					if _, there := want[id]; there {
						continue
					}
					if _, found, err := x.Find(id); err != nil || found {
						t.Fatalf("%s, which is not there: %v, %v", id, found, err)
					}
				}
			})
		}
	}
}
