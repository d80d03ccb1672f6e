// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package repack

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// memory is a repository of objects in the order in which they were made.
type memory struct {
	objects []pack.Object
	byID    map[gitobj.ID]pack.Object
	settled map[gitobj.ID]bool
}

func (m *memory) add(kind gitobj.Kind, data []byte) gitobj.ID {
	o := pack.Object{Kind: kind, ID: gitobj.Hash(kind, data), Data: data}
	if m.byID == nil {
		m.byID = map[gitobj.ID]pack.Object{}
	}
	if _, ok := m.byID[o.ID]; !ok {
		m.objects = append(m.objects, o)
		m.byID[o.ID] = o
	}
	return o.ID
}

func (m *memory) Where(id gitobj.ID) Where {
	if m.settled[id] {
		return Settled
	}
	if _, ok := m.byID[id]; ok {
		return Newer
	}
	return Nowhere
}

func (m *memory) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	o, ok := m.byID[id]
	if !ok {
		return 0, nil, errors.New("not there")
	}
	return o.Kind, o.Data, nil
}

// input makes a pack of objects, whole and stored as a segment has them.
func input(tb testing.TB, name string, objects []pack.Object) Input {
	tb.Helper()
	data := pack.AppendHeader(nil, uint32(len(objects)))
	var lines []pack.IndexEntry
	for _, o := range objects {
		at := len(data)
		data = pack.AppendStored(pack.AppendEntry(data, pack.Entry{Type: pack.Type(o.Kind), Size: int64(len(o.Data))}), o.Data)
		lines = append(lines, pack.IndexEntry{ID: o.ID, CRC: checksum(data[at:]), Offset: int64(at)})
	}
	return inputOf(tb, name, append(data, make([]byte, pack.TrailerSize)...), lines)
}

func inputOf(tb testing.TB, name string, data []byte, lines []pack.IndexEntry) Input {
	tb.Helper()
	index := pack.AppendIndex(nil, lines, gitobj.Zero)
	x, err := pack.OpenIndex(bytes.NewReader(index), int64(len(index)))
	if err != nil {
		tb.Fatal(err)
	}
	return Input{Name: name, Index: x, Data: bytes.NewReader(data), Size: int64(len(data))}
}

// history makes commits that change one of a number of nested keys each, and returns the heads.
func history(m *memory, commits, keys int) []gitobj.ID {
	var heads []gitobj.ID
	leaves := make(gitobj.Tree, 0, keys)
	for n := range commits {
		key := n % keys
		blob := m.add(gitobj.KindBlob, fmt.Appendf(nil, "{\n  \"name\": \"node-%d\",\n  \"holder\": \"%040d\",\n  \"renewed\": %d,\n  \"transitions\": 7,\n  \"seconds\": 40\n}", key, key, n))
		if key == len(leaves) {
			leaves = append(leaves, gitobj.Entry{Mode: gitobj.ModeFile, Name: fmt.Sprintf("n%04d", key)})
		}
		leaves[key].ID = blob
		tree := m.add(gitobj.KindTree, leaves.Encode())
		root := m.add(gitobj.KindTree, gitobj.Tree{{Mode: gitobj.ModeDir, Name: "leases", ID: tree}}.Encode())
		who := gitobj.Signature{Name: "t", Email: "t@t", When: time.Unix(int64(n), 0)}
		c := gitobj.Commit{Tree: root, Author: who, Committer: who, Message: fmt.Sprintf("%d\n", n)}
		if n > 0 {
			c.Parents = heads[n-1:]
		}
		heads = append(heads, m.add(gitobj.KindCommit, c.Encode()))
	}
	return heads
}

func readAll(tb testing.TB, data []byte, lines []pack.IndexEntry) map[gitobj.ID]pack.Object {
	tb.Helper()
	out := map[gitobj.ID]pack.Object{}
	if err := pack.Scan(bytes.NewReader(data), nil, func(o pack.Object) error {
		out[o.ID] = o
		return nil
	}, pack.Limits{}); err != nil {
		tb.Fatal(err)
	}
	if len(out) != len(lines) {
		tb.Errorf("the pack has %d objects, its index %d", len(out), len(lines))
	}
	for _, l := range lines {
		kind, content, err := pack.Resolve(bytes.NewReader(data), l.Offset, int64(len(data))-pack.TrailerSize, nil)
		if err != nil || gitobj.Hash(kind, content) != l.ID {
			tb.Fatalf("entry at %d is not %s: %v", l.Offset, l.ID, err)
		}
	}
	return out
}

// TestR1R3 folds packs, what came of them with more, and that alone.
func TestR1R3(t *testing.T) {
	m := &memory{}
	heads := history(m, 400, 10)
	m.add(gitobj.KindBlob, []byte("nobody needs this"))
	kept := m.add(gitobj.KindBlob, []byte("somebody needs this"))
	third := len(m.objects) / 3
	before := 0
	for _, o := range m.objects {
		before += len(o.Data)
	}
	inputs := []Input{input(t, "1", m.objects[:third]), input(t, "2", m.objects[third:2*third])}
	plan := Plan{Inputs: inputs, Around: m, Roots: Roots{Objects: heads[len(heads)-1:], Blobs: []gitobj.ID{kept}}}
	var first bytes.Buffer
	res, err := Fold(t.Context(), plan, &first)
	if err != nil {
		t.Fatal(err)
	}
	if res.Size != int64(first.Len()) || res.Dropped != 0 {
		t.Errorf("%+v of %d bytes", res, first.Len())
	}
	one := inputOf(t, "first", first.Bytes(), res.Lines)
	one.Folded = true

	plan.Inputs = []Input{one, input(t, "3", m.objects[2*third:])}
	var second bytes.Buffer
	if res, err = Fold(t.Context(), plan, &second); err != nil {
		t.Fatal(err)
	}
	all := readAll(t, second.Bytes(), res.Lines)
	if len(all) != len(m.objects)-1 || res.Kept != len(all) || res.Dropped != 1 {
		t.Errorf("%d of %d objects are kept: %+v", len(all), len(m.objects), res)
	}
	if second.Len()*2 > before {
		t.Errorf("%d bytes of %d", second.Len(), before)
	}
	two := inputOf(t, "second", second.Bytes(), res.Lines)
	two.Folded = true
	plan.Inputs = []Input{two}
	var third3 bytes.Buffer
	if _, err = Fold(t.Context(), plan, &third3); err != nil || !bytes.Equal(third3.Bytes(), second.Bytes()) {
		t.Errorf("folded alone it is another: %d bytes of %d, %v", third3.Len(), second.Len(), err)
	}
	t.Logf("%d objects of %d bytes in %d", len(m.objects), before, second.Len())
}

// TestR1Missing ends a fold for each object that something reachable names, and nobody has.
func TestR1Missing(t *testing.T) {
	m := &memory{}
	heads := history(m, 12, 3)
	for i := range m.objects {
		without := append(append([]pack.Object{}, m.objects[:i]...), m.objects[i+1:]...)
		lost := &memory{byID: map[gitobj.ID]pack.Object{}}
		var out bytes.Buffer
		plan := Plan{Inputs: []Input{input(t, "p", without)}, Around: lost, Roots: Roots{Commits: heads[len(heads)-1:]}}
		if _, err := Fold(t.Context(), plan, &out); !errors.Is(err, ErrMissing) {
			t.Errorf("without %s %d: %v", m.objects[i].Kind, i, err)
		}
		plan.Inputs[0].Stays = true
		if err := Prove(t.Context(), plan); !errors.Is(err, ErrMissing) {
			t.Errorf("without %s %d it is proven: %v", m.objects[i].Kind, i, err)
		}
		lost.byID[m.objects[i].ID] = m.objects[i] // came again later
		if err := Prove(t.Context(), plan); err != nil {
			t.Error(err)
		}
	}
}

// TestShallow leaves out what lies behind the boundary, but nothing of the boundary itself.
func TestShallow(t *testing.T) {
	m := &memory{}
	heads := history(m, 40, 4)
	var out bytes.Buffer
	res, err := Fold(t.Context(), Plan{
		Inputs: []Input{input(t, "p", m.objects)}, Around: m,
		Roots: Roots{Objects: heads[len(heads)-1:]}, Shallow: map[gitobj.ID]bool{heads[30]: true},
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	all := readAll(t, out.Bytes(), res.Lines)
	commits, blobs := 0, 0
	for _, o := range all {
		switch o.Kind {
		case gitobj.KindCommit:
			commits++
		case gitobj.KindBlob:
			blobs++
		default: // as many as there have to be
		}
	}
	if commits != 10 || blobs != 13 {
		t.Errorf("%d commits and %d blobs", commits, blobs)
	}
}

// TestR2BitRot finds a changed byte in whatever is copied.
func TestR2BitRot(t *testing.T) {
	m := &memory{}
	heads := history(m, 8, 2)
	in := input(t, "p", m.objects)
	data := make([]byte, in.Size)
	if _, err := in.Data.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	for at := pack.HeaderSize; at < len(data)-pack.TrailerSize; at++ {
		rotten := bytes.Clone(data)
		rotten[at] ^= 4
		in.Data = bytes.NewReader(rotten)
		var out bytes.Buffer
		if _, err := Fold(t.Context(), Plan{Inputs: []Input{in}, Around: m, Roots: Roots{Objects: heads[len(heads)-1:]}}, &out); !errors.Is(err, pack.ErrCorrupt) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
}

// TestDelta makes deltas of edited texts, and applies them.
func TestDelta(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 9))
	text := func(n int) []byte {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "  \"field-%d\": \"%d\",\n", random.IntN(50), random.IntN(1000))
		}
		return []byte(b.String())
	}
	good := 0
	for range 2000 {
		base := text(random.IntN(60))
		target := bytes.Clone(base)
		for range random.IntN(4) {
			if len(target) == 0 {
				break
			}
			at := random.IntN(len(target))
			end := min(len(target), at+random.IntN(30))
			target = append(append(bytes.Clone(target[:at]), text(random.IntN(2))...), target[end:]...)
		}
		delta, ok := deltaOf(base, target)
		if !ok {
			continue
		}
		good++
		if got, err := pack.ApplyDelta(base, delta); err != nil || !bytes.Equal(got, target) {
			t.Fatalf("of %q and %q: %v", base, target, err)
		}
	}
	if good < 1000 {
		t.Errorf("%d deltas of 2000", good)
	}
}

// FuzzDiffTrees gives any bytes for trees.
func FuzzDiffTrees(f *testing.F) {
	m := &memory{}
	history(m, 3, 2)
	for _, o := range m.objects {
		if o.Kind == gitobj.KindTree {
			f.Add(o.Data, o.Data[:len(o.Data)/2])
		}
	}
	f.Fuzz(func(_ *testing.T, was, is []byte) {
		_ = diffTrees(was, is, func(line, gitobj.ID) error { return nil })
	})
}
