// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// chain returns the entries of a content and of its versions, each a delta of the one before, behind a
// pack's header; where they begin; and the versions.
func chain(tb testing.TB, size, depth, edits int) (entries []byte, at []int64, versions [][]byte) {
	tb.Helper()
	random := rand.New(rand.NewPCG(1, uint64(depth)))
	noise := rand.NewChaCha8([32]byte{byte(edits)})
	content := make([]byte, size)
	_, _ = noise.Read(content)
	entries = pack.AppendEntry(pack.AppendHeader(nil, uint32(depth+1)), pack.Entry{Type: pack.Type(gitobj.KindTree), Size: int64(size)})
	entries = pack.AppendStored(entries, content)
	at, versions = []int64{pack.HeaderSize}, [][]byte{content}
	for range depth {
		var list []pack.Edit
		for end := 0; len(list) < edits && end < len(content)-40; {
			e := pack.Edit{At: end + random.IntN(min(len(content)-end-39, 2*len(content)/edits)), Cut: random.IntN(40), Insert: make([]byte, random.IntN(40))}
			_, _ = noise.Read(e.Insert)
			list, end = append(list, e), e.At+e.Cut
		}
		delta := pack.EditDelta(len(content), list...)
		next, err := pack.ApplyDelta(content, delta)
		if err != nil {
			tb.Fatal(err)
		}
		off := int64(len(entries))
		entries = pack.AppendEntry(entries, pack.Entry{Type: pack.OfsDelta, Size: int64(len(delta)), Distance: off - at[len(at)-1]})
		entries = pack.AppendStored(entries, delta)
		content, at, versions = next, append(at, off), append(versions, next)
	}
	return entries, at, versions
}

// TestChains reads every version of chains with few edits, which are joined, and with many, which are not.
func TestChains(t *testing.T) {
	for _, c := range []struct{ size, depth, edits int }{{20_000, 250, 1}, {5000, 250, 2}, {100, 60, 1}, {20_000, 50, 5}, {20_000, 10, 40}, {50, 5, 1}} {
		entries, at, versions := chain(t, c.size, c.depth, c.edits)
		for i, off := range at {
			kind, data, err := pack.Resolve(bytes.NewReader(entries), off, int64(len(entries)), nil)
			if err != nil || kind != gitobj.KindTree || !bytes.Equal(data, versions[i]) {
				t.Fatalf("%+v: version %d: %s of %d bytes, want %d, %v", c, i, kind, len(data), len(versions[i]), err)
			}
		}
	}
}

// TestP2DamagedChain changes what a delta in the midst of a chain says: no panic, and never another content without an error.
func TestP2DamagedChain(t *testing.T) {
	_, _, versions := chain(t, 500, 20, 1)
	deltas := make([][]byte, 20)
	for i := range deltas {
		deltas[i] = pack.Delta(versions[i], versions[i+1])
	}
	last := versions[20]
	for i := range deltas[10] {
		for _, flip := range []byte{1, 0x10, 0x80, 0xff} {
			entries := pack.AppendStored(pack.AppendEntry(pack.AppendHeader(nil, 21), pack.Entry{Type: pack.Type(gitobj.KindTree), Size: 500}), versions[0])
			off := int64(pack.HeaderSize)
			for k, d := range deltas {
				if k == 10 {
					d = bytes.Clone(d)
					d[i] ^= flip
				}
				base := off
				off = int64(len(entries))
				entries = pack.AppendStored(pack.AppendEntry(entries, pack.Entry{Type: pack.OfsDelta, Size: int64(len(d)), Distance: off - base}), d)
			}
			want := versions[0]
			var wantErr error
			for k, d := range deltas {
				if k == 10 {
					d = bytes.Clone(d)
					d[i] ^= flip
				}
				if want, wantErr = pack.ApplyDelta(want, d); wantErr != nil {
					break
				}
			}
			_, got, err := pack.Resolve(bytes.NewReader(entries), off, int64(len(entries)), nil)
			if (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, pack.ErrCorrupt) || err == nil && !bytes.Equal(got, want) {
				t.Fatalf("byte %d ^ %#x: %d bytes, %v; one by one %d bytes, %v; was %d", i, flip, len(got), err, len(want), wantErr, len(last))
			}
		}
	}
}

// BenchmarkResolveChain reads a tree of 20,000 names behind 250 deltas.
func BenchmarkResolveChain(b *testing.B) {
	entries, at, _ := chain(b, 20_000*38, 250, 1)
	r := bytes.NewReader(entries)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := pack.Resolve(r, at[250], int64(len(entries)), nil); err != nil {
			b.Fatal(err)
		}
	}
}
