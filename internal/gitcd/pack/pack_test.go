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
