// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// TestP2Damage changes, cuts and lengthens a pack at every byte: Scan must notice.
func TestP2Damage(t *testing.T) {
	var buf bytes.Buffer
	w := pack.NewWriter(&buf, 2)
	base := []byte(strings.Repeat("content ", 10))
	if err := w.WriteObject(gitobj.KindBlob, base); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteDelta(gitobj.Hash(gitobj.KindBlob, base), pack.Delta(base, []byte("content of another kind"))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	scan := func(b []byte) error {
		return pack.Scan(bytes.NewReader(b), nil, func(pack.Object) error { return nil }, pack.Limits{ObjectBytes: 1 << 20, TotalBytes: 1 << 20})
	}
	whole := buf.Bytes()
	if err := scan(whole); err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		if err := scan(whole[:i]); err == nil {
			t.Errorf("cut at %d: no error", i)
		}
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			if err := scan(b); err == nil {
				t.Errorf("bit %d of byte %d changed: no error", bit, i)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	var buf bytes.Buffer
	w := pack.NewWriter(&buf, 3)
	for i := range 3 {
		if err := w.WriteObject(gitobj.KindBlob, bytes.Repeat([]byte{byte(i)}, 100_000)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]pack.Limits{
		"objects": {Objects: 2}, "object": {ObjectBytes: 99_999}, "total": {TotalBytes: 250_000}, "pack": {PackBytes: 100},
	} {
		if err := pack.Scan(bytes.NewReader(buf.Bytes()), nil, func(pack.Object) error { return nil }, l); !errors.Is(err, pack.ErrLimit) {
			t.Errorf("%s: have %v", name, err)
		}
	}
}

func FuzzScan(f *testing.F) {
	var buf bytes.Buffer
	w := pack.NewWriter(&buf, 1)
	if err := w.WriteObject(gitobj.KindBlob, []byte("x")); err != nil {
		f.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		err := pack.Scan(bytes.NewReader(b), nil, func(o pack.Object) error {
			if o.ID != gitobj.Hash(o.Kind, o.Data) {
				t.Error("an id that is not the object's")
			}
			return nil
		}, pack.Limits{ObjectBytes: 1 << 20, TotalBytes: 1 << 22, Objects: 1000})
		_ = err // any is well: P2 is that there is no panic
	})
}

func FuzzApplyDelta(f *testing.F) {
	f.Add([]byte("base"), pack.Delta([]byte("base"), []byte("bake")))
	f.Fuzz(func(t *testing.T, base, delta []byte) {
		if _, size, err := pack.DeltaSizes(delta); err != nil || size > 1<<20 {
			return
		}
		if out, err := pack.ApplyDelta(base, delta); err == nil {
			if _, size, _ := pack.DeltaSizes(delta); int64(len(out)) != size {
				t.Error("size is not the announced one")
			}
		}
	})
}
