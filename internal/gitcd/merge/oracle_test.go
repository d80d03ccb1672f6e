// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// repository is a store that stock Git can read.
type repository struct {
	*store
	dir string
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{newStore(), t.TempDir()}
	r.git(t, "init", "-q", "--bare", ".")
	return r
}

// flush writes the store's objects as Git keeps them.
func (r *repository) flush(t *testing.T) {
	t.Helper()
	for id, o := range r.objects {
		var out bytes.Buffer
		z := zlib.NewWriter(&out)
		if _, err := z.Write(append(gitobj.AppendHeader(nil, o.Kind, int64(len(o.Data))), o.Data...)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		name := id.String()
		file := filepath.Join(r.dir, "objects", name[:2], name[2:])
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *repository) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "merge.renames=false", "-c", "merge.directoryRenames=false"}, args...)...)
	cmd.Dir = r.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestBasesAreGits compares with git merge-base --all, on histories with many
// merges and with clocks that are right, coarse and wrong.
func TestBasesAreGits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, clock := range []func(i int) int{
		func(i int) int { return i },
		func(i int) int { return i / 10 },
		func(int) int { return rnd.IntN(100) },
		func(i int) int { return 100 - i },
	} {
		r := newRepository(t)
		var commits []gitobj.ID
		for i := range 60 {
			var parents []gitobj.ID
			for range min(rnd.IntN(4), len(commits)) {
				parent := commits[max(0, len(commits)-1-rnd.IntN(8))]
				if !slices.Contains(parents, parent) {
					parents = append(parents, parent)
				}
			}
			tree := r.edit(t, gitobj.Zero, map[string][]byte{"/k": fmt.Append(nil, i)})
			commits = append(commits, r.commit(tree, clock(i), parents...))
		}
		r.flush(t)
		for range 40 {
			a, b := commits[rnd.IntN(len(commits))], commits[rnd.IntN(len(commits))]
			bases, err := merge.Bases(t.Context(), r, a, b)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, id := range bases {
				got = append(got, id.String())
			}
			cmd := exec.CommandContext(t.Context(), "git", "merge-base", "--all", a.String(), b.String())
			cmd.Dir = r.dir
			out, err := cmd.Output()
			if err != nil && len(out) > 0 {
				t.Fatal(err)
			}
			want := strings.Fields(string(out))
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("bases of %s and %s: %s", a, b, diff)
			}
		}
	}
}

// TestGitMergesAlike has Git merge branches that changed different keys.
func TestGitMergesAlike(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 15 {
		r := newRepository(t)
		key := func(i int) string { return fmt.Sprintf("/registry/%d/%d", i%5, i) }
		start := map[string][]byte{}
		for i := range 60 {
			if rnd.IntN(3) > 0 {
				start[key(i)] = fmt.Appendf(nil, "base %d\n", i)
			}
		}
		base := r.commit(r.edit(t, gitobj.Zero, start), 1)
		change := [2]map[string][]byte{{}, {}}
		for i := range 60 {
			if rnd.IntN(3) > 0 {
				continue
			}
			value := fmt.Appendf(nil, "new %d\n", i)
			if start[key(i)] != nil && rnd.IntN(3) == 0 {
				value = nil
			}
			change[rnd.IntN(2)][key(i)] = value
		}
		ours := r.commit(r.edit(t, r.tree(t, base), change[0]), 2, base)
		theirs := r.commit(r.edit(t, r.tree(t, base), change[1]), 3, base)
		r.flush(t)
		m, err := merge.NewHistory(r).Merge(t.Context(), ours, theirs, apart)
		if err != nil || len(m.Conflicts) > 0 {
			t.Fatal(err, m.Conflicts)
		}
		if got, want := r.apply(t, r.tree(t, ours), m.Changes).String(), r.git(t, "merge-tree", "--write-tree", ours.String(), theirs.String()); got != want {
			t.Fatalf("merged to %s, git to %s", got, want)
		}
	}
}
