// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitobj_test

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// git runs the stock Git, which is the oracle of this package.
func git(t *testing.T, dir string, stdin []byte, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestO1IDsAreGits(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, nil, "init", "-q", "--bare", ".")
	for _, content := range []string{"", "a", "hello\n", strings.Repeat("x", 100_000)} {
		want := git(t, dir, []byte(content), "hash-object", "-w", "--stdin")
		if got := gitobj.Hash(gitobj.KindBlob, []byte(content)).String(); got != want {
			t.Errorf("blob of %d bytes: have %s, git says %s", len(content), got, want)
		}
	}
}

func TestO3FsckClean(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, nil, "init", "-q", "--bare", ".")
	blob, err := gitobj.ParseID(git(t, dir, []byte("v"), "hash-object", "-w", "--stdin"))
	if err != nil {
		t.Fatal(err)
	}
	tree := gitobj.Tree{
		{Mode: gitobj.ModeFile, Name: "a.b", ID: blob},
		{Mode: gitobj.ModeFile, Name: "a0", ID: blob},
		{Mode: gitobj.ModeFile, Name: "a", ID: blob},
	}
	tree.Sort()
	leaf, err := gitobj.ParseID(git(t, dir, tree.Encode(), "hash-object", "-t", "tree", "-w", "--stdin"))
	if err != nil {
		t.Fatal(err)
	}
	tree[0] = gitobj.Entry{Mode: gitobj.ModeDir, Name: "a", ID: leaf} // a directory sorts as "a/", behind "a.b"
	tree.Sort()
	root, err := gitobj.ParseID(git(t, dir, tree.Encode(), "hash-object", "-t", "tree", "-w", "--stdin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "x", " < y\n>", "kube-controller-manager"} {
		commit := gitobj.Commit{
			Tree:      root,
			Author:    gitobj.Signature{Name: name, Email: name + "@z", When: time.Unix(-5, 0)},
			Committer: gitobj.Signature{Name: name, When: time.Unix(1e9, 5).In(time.FixedZone("", -5400))},
			Message:   "subject\n",
		}
		id := git(t, dir, commit.Encode(), "hash-object", "-t", "commit", "-w", "--stdin")
		if got := gitobj.Hash(gitobj.KindCommit, commit.Encode()).String(); got != id {
			t.Errorf("commit by %q: have %s, git says %s", name, got, id)
		}
		git(t, dir, nil, "update-ref", "refs/heads/main", id)
		git(t, dir, nil, "fsck", "--strict")
	}
}

func TestO2RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want gitobj.Tree
		seen := map[string]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "entries") {
			e := gitobj.Entry{
				Mode: rapid.SampledFrom([]uint32{gitobj.ModeFile, gitobj.ModeDir}).Draw(t, "mode"),
				Name: rapid.StringMatching(`[a-c.%]{1,4}`).Draw(t, "name"),
			}
			rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "id")
			if !seen[e.Name] {
				want = append(want, e)
			}
			seen[e.Name] = true
		}
		want.Sort()
		got, err := gitobj.DecodeTree(want.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) || (len(want) > 0 && !cmp.Equal(got, want)) {
			t.Fatal(cmp.Diff(want, got))
		}
		for i, e := range want {
			if at, found := want.Find(e.Name, e.IsDir()); !found || at != i {
				t.Fatalf("Find(%q) = %d, %v; want %d", e.Name, at, found, i)
			}
		}
	})
	commit := gitobj.Commit{
		Tree:      gitobj.Hash(gitobj.KindTree, nil),
		Parents:   []gitobj.ID{{1}, {2}},
		Author:    gitobj.Signature{Name: "a b", Email: "c@d", When: time.Unix(1_700_000_000, 0).In(time.FixedZone("", -3*3600-1800))},
		Committer: gitobj.Signature{Name: "-", Email: "", When: time.Unix(0, 0).UTC()},
		Message:   "update pods default/x\n\nbody\n\nEpoch: 3\nHolder: pod-a\n",
	}
	got, err := gitobj.DecodeCommit(commit.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(commit, got); diff != "" {
		t.Error(diff)
	}
	if epoch, ok := got.Trailer("epoch"); !ok || epoch != "3" {
		t.Errorf("Trailer(epoch) = %q, %v", epoch, ok)
	}
	if _, ok := (gitobj.Commit{Message: "Epoch: 3"}).Trailer("Epoch"); ok {
		t.Error("a subject is not a trailer")
	}
}

func TestO4Malformed(t *testing.T) {
	entry := gitobj.AppendEntry(nil, gitobj.Entry{Mode: gitobj.ModeFile, Name: "a"})
	for name, content := range map[string][]byte{
		"cut":       entry[:len(entry)-1],
		"no mode":   []byte(" a\x0000000000000000000000"),
		"bad mode":  append([]byte("1x0644 a\x00"), make([]byte, 20)...),
		"no name":   append([]byte("100644 \x00"), make([]byte, 20)...),
		"slash":     append([]byte("100644 a/b\x00"), make([]byte, 20)...),
		"unordered": append(bytes.Clone(entry), entry...),
	} {
		if _, err := gitobj.DecodeTree(content); !errors.Is(err, gitobj.ErrMalformed) {
			t.Errorf("tree, %s: have %v", name, err)
		}
	}
	for _, content := range []string{"", "tree 12\n", "tree " + strings.Repeat("a", 40) + "\nauthor x 1 +0000\n\n"} {
		if _, err := gitobj.DecodeCommit([]byte(content)); !errors.Is(err, gitobj.ErrMalformed) {
			t.Errorf("commit %q: have %v", content, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(gitobj.AppendEntry(nil, gitobj.Entry{Mode: gitobj.ModeFile, Name: "a"}))
	f.Fuzz(func(t *testing.T, content []byte) {
		if tree, err := gitobj.DecodeTree(content); err == nil {
			if again, err := gitobj.DecodeTree(tree.Encode()); err != nil || !cmp.Equal(tree, again) {
				t.Errorf("tree changed on its way: %v", err)
			}
		}
		if commit, err := gitobj.DecodeCommit(content); err == nil {
			if _, err := gitobj.DecodeCommit(commit.Encode()); err != nil {
				t.Error(err)
			}
		}
	})
}

func BenchmarkHash(b *testing.B) {
	content := make([]byte, 3<<10)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		gitobj.Hash(gitobj.KindBlob, content)
	}
}
