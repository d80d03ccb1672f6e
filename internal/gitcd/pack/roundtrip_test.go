// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack_test

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

func TestEntryRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := pack.Entry{
			Type: rapid.SampledFrom([]pack.Type{1, 2, 3, 4, pack.OfsDelta, pack.RefDelta}).Draw(t, "type"),
			Size: rapid.Int64Range(0, 1<<40).Draw(t, "size"),
		}
		switch want.Type {
		case pack.OfsDelta:
			want.Distance = rapid.Int64Range(1, 1<<40).Draw(t, "distance")
		case pack.RefDelta:
			want.Base = gitobj.Hash(gitobj.KindBlob, nil)
		default:
		}
		b := pack.AppendEntry(nil, want)
		got, n, err := pack.ParseEntry(append(b, 0xff))
		if err != nil || n != len(b) || got != want {
			t.Fatalf("have %+v (%d bytes), %v; want %+v (%d bytes)", got, n, err, want, len(b))
		}
		for i := range b {
			if _, _, err := pack.ParseEntry(b[:i]); err == nil {
				t.Fatalf("%d bytes of %d are enough", i, len(b))
			}
		}
	})
}

func TestStoredRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 65534, 65535, 65536, 131070, 131071, 200_000} {
		want := bytes.Repeat([]byte{7}, n)
		b := pack.AppendStored(nil, want)
		if len(b) != pack.StoredSize(n) {
			t.Errorf("%d bytes are stored in %d, want %d", n, len(b), pack.StoredSize(n))
		}
		got, size, ok := pack.Stored(append(b, 1, 2, 3))
		if !ok || size != len(b) || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: have %d of %d, %v", n, len(got), size, ok)
		}
		if _, _, ok := pack.Stored(b[:len(b)-1]); ok {
			t.Errorf("%d bytes cut short are taken", n)
		}
		b[len(b)-5] ^= 1
		if _, _, ok := pack.Stored(b); ok {
			t.Errorf("%d bytes with one changed are taken", n)
		}
	}
}

func TestDeltaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.SliceOfN(rapid.ByteRange('a', 'c'), 0, 400)
		base, target := gen.Draw(t, "base"), gen.Draw(t, "target")
		got, err := pack.ApplyDelta(base, pack.Delta(base, target))
		if err != nil || !bytes.Equal(got, target) {
			t.Fatalf("have %q, %v", got, err)
		}
		var edits []pack.Edit
		var want []byte
		at := 0
		for range rapid.IntRange(0, 4).Draw(t, "edits") {
			from := rapid.IntRange(at, len(base)).Draw(t, "from")
			cut := rapid.IntRange(0, len(base)-from).Draw(t, "cut")
			insert := gen.Draw(t, "insert")
			edits = append(edits, pack.Edit{At: from, Cut: cut, Insert: insert})
			want = append(append(want, base[at:from]...), insert...)
			at = from + cut
		}
		want = append(want, base[at:]...)
		if got, err := pack.ApplyDelta(base, pack.EditDelta(len(base), edits...)); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("edits: have %q, %v; want %q", got, err, want)
		}
	})
	big := bytes.Repeat([]byte("0123456789abcdef"), 2<<20/16*10) // 20 MiB: copies of all sizes
	for _, at := range []int{0, 0x10000, 0x10001, 1 << 24} {
		target := append(append(bytes.Clone(big[:at]), 'X'), big[at:]...)
		if got, err := pack.ApplyDelta(big, pack.EditDelta(len(big), pack.Edit{At: at, Insert: []byte("X")})); err != nil || !bytes.Equal(got, target) {
			t.Errorf("insert at %d: %v", at, err)
		}
	}
}
