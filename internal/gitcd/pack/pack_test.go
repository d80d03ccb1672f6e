// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// git runs the stock Git, which is the oracle of P1.
func git(tb testing.TB, dir string, stdin []byte, args ...string) []byte {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "git", args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return out
}

// repository returns a repository of 30 commits to a large file and a few small ones, and all its objects.
func repository(tb testing.TB) (dir string, objects map[gitobj.ID]pack.Object) {
	tb.Helper()
	dir = tb.TempDir()
	git(tb, dir, nil, "init", "-q", "-b", "main", ".")
	random := rand.New(rand.NewPCG(1, 2))
	var text []string
	for range 400 {
		text = append(text, fmt.Sprintf("line %x", random.Uint64()))
	}
	for i := range 30 {
		text[random.IntN(len(text))] = fmt.Sprintf("changed %d", i)
		for name, content := range map[string]string{"large": strings.Join(text, "\n"), fmt.Sprintf("small-%d", i): fmt.Sprint(i)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				tb.Fatal(err)
			}
		}
		git(tb, dir, nil, "add", ".")
		git(tb, dir, nil, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", fmt.Sprint(i))
	}
	git(tb, dir, nil, "-c", "user.name=t", "-c", "user.email=t@t", "tag", "-a", "-m", "tag", "v1")
	objects = map[gitobj.ID]pack.Object{}
	for line := range strings.Lines(string(git(tb, dir, nil, "cat-file", "--batch-all-objects", "--batch-check"))) {
		fields := strings.Fields(line)
		id, err := gitobj.ParseID(fields[0])
		if err != nil {
			tb.Fatal(err)
		}
		kind, err := gitobj.ParseKind(fields[1])
		if err != nil {
			tb.Fatal(err)
		}
		objects[id] = pack.Object{Kind: kind, ID: id, Data: git(tb, dir, nil, "cat-file", fields[1], fields[0])}
	}
	return dir, objects
}

func find(objects map[gitobj.ID]pack.Object) pack.Base {
	return func(id gitobj.ID) (gitobj.Kind, []byte, error) {
		o, ok := objects[id]
		if !ok {
			return 0, nil, errors.New("not here")
		}
		return o.Kind, o.Data, nil
	}
}

// TestP1ScanReadsGit scans packs that git made in each way it knows.
func TestP1ScanReadsGit(t *testing.T) {
	dir, objects := repository(t)
	old := strings.TrimSpace(string(git(t, dir, nil, "rev-parse", "main~10")))
	before := map[gitobj.ID]pack.Object{}
	for line := range strings.Lines(string(git(t, dir, nil, "rev-list", "--objects", old))) {
		id, err := gitobj.ParseID(line[:40])
		if err != nil {
			t.Fatal(err)
		}
		before[id] = objects[id]
	}
	thin := []byte("main\n^" + old + "\n")
	for _, c := range []struct {
		name   string
		revs   []byte
		args   []string
		memory int64
	}{
		{"distances", nil, []string{"--all", "--delta-base-offset"}, 0},
		{"ids", nil, []string{"--all"}, 0},
		{"undeltified", nil, []string{"--all", "--window=0"}, 0},
		{"little memory", nil, []string{"--all", "--delta-base-offset"}, 1},
		{"thin", thin, []string{"--revs", "--thin"}, 0},
		{"thin distances", thin, []string{"--revs", "--thin", "--delta-base-offset"}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			data := git(t, dir, c.revs, append([]string{"pack-objects", "-q", "--stdout"}, c.args...)...)
			have := map[gitobj.ID]pack.Object{}
			if c.revs != nil {
				maps.Copy(have, before)
			}
			n := 0
			err := pack.Scan(bytes.NewReader(data), find(have), func(o pack.Object) error {
				n++
				if want := objects[o.ID]; want.Kind != o.Kind || !bytes.Equal(want.Data, o.Data) {
					t.Errorf("%s %s is not git's", o.Kind, o.ID)
				}
				if o.Delta != nil {
					if again, err := pack.ApplyDelta(objects[o.Base].Data, o.Delta); err != nil || !bytes.Equal(again, o.Data) {
						t.Errorf("%s: delta does not give the object: %v", o.ID, err)
					}
				}
				have[o.ID] = o
				return nil
			}, pack.Limits{MemoryBytes: c.memory})
			if err != nil {
				t.Fatal(err)
			}
			if c.revs == nil && n != len(objects) {
				t.Errorf("%d objects, want %d", n, len(objects))
			}
		})
	}
}

// TestP1GitReadsWriter writes whole objects and a delta before its base.
func TestP1GitReadsWriter(t *testing.T) {
	_, objects := repository(t)
	var large []pack.Object
	for _, o := range objects {
		if o.Kind == gitobj.KindBlob && len(o.Data) > 1000 {
			large = append(large, o)
		}
	}
	var buf bytes.Buffer
	w := pack.NewWriter(&buf, len(objects))
	if err := w.WriteDelta(large[1].ID, pack.Delta(large[1].Data, large[0].Data)); err != nil {
		t.Fatal(err)
	}
	for id, o := range objects {
		if id != large[0].ID {
			if err := w.WriteObject(o.Kind, o.Data); err != nil {
				t.Fatal(err)
			}
		}
	}
	trailer, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	git(t, dir, nil, "init", "-q", "--bare", ".")
	if got := string(git(t, dir, buf.Bytes(), "index-pack", "--stdin", "--strict")); !strings.Contains(got, trailer.String()) {
		t.Errorf("git says %s, want trailer %s", got, trailer)
	}
	n := 0
	if err := pack.Scan(&buf, nil, func(pack.Object) error { n++; return nil }, pack.Limits{}); err != nil || n != len(objects) {
		t.Errorf("%d objects, %v; want %d", n, err, len(objects))
	}
}

// TestP1FileReadsGit reads git's own packs with their indexes, and compares ours with git's.
func TestP1FileReadsGit(t *testing.T) {
	for _, config := range []string{"repack.useDeltaBaseOffset=true", "repack.useDeltaBaseOffset=false"} {
		dir, objects := repository(t)
		git(t, dir, nil, "-c", config, "repack", "-a", "-d", "-f", "-q")
		names, err := filepath.Glob(filepath.Join(dir, ".git/objects/pack/*.idx"))
		if err != nil || len(names) != 1 {
			t.Fatal(names, err)
		}
		idx, err := os.ReadFile(names[0])
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(strings.TrimSuffix(names[0], "idx") + "pack")
		if err != nil {
			t.Fatal(err)
		}
		index, err := pack.OpenIndex(bytes.NewReader(idx), int64(len(idx)))
		if err != nil {
			t.Fatal(err)
		}
		trailer, err := index.Verify()
		if err != nil {
			t.Fatal(err)
		}
		file, err := pack.OpenFile(bytes.NewReader(data), int64(len(data)), index)
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range objects {
			kind, content, found, err := file.Get(id)
			if err != nil || !found || kind != want.Kind || !bytes.Equal(content, want.Data) {
				t.Errorf("Get(%s) = %s, %v, %v", id, kind, found, err)
			}
		}
		if _, _, found, err := file.Get(gitobj.ID{1}); found || err != nil {
			t.Errorf("an object that is not there: %v, %v", found, err)
		}
		entries, err := index.Entries()
		if err != nil {
			t.Fatal(err)
		}
		if again := pack.AppendIndex(nil, entries, trailer); !bytes.Equal(again, idx) {
			t.Error("our index is not git's")
		}
	}
}

func TestWideOffsets(t *testing.T) {
	var entries []pack.IndexEntry
	for i := range 1000 {
		entries = append(entries, pack.IndexEntry{ID: gitobj.Hash(gitobj.KindBlob, fmt.Append(nil, i)), Offset: int64(i) << 24})
	}
	data := pack.AppendIndex(nil, entries, gitobj.Zero)
	index, err := pack.OpenIndex(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		off, found, err := index.Find(gitobj.Hash(gitobj.KindBlob, fmt.Append(nil, i)))
		if err != nil || !found || off != int64(i)<<24 {
			t.Fatalf("object %d at %d, %v, %v", i, off, found, err)
		}
	}
}

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
