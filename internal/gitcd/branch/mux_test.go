// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

const refs = "refs/heads/"

func optionsOf(names ...string) []mvcc.Options {
	out := make([]mvcc.Options, len(names))
	for i, n := range names {
		out[i] = mvcc.Options{Branch: refs + n, Author: mvcc.Identity{Name: n, Email: n + "@example.invalid"}, CheckpointBytes: 4 << 10, ValueBudget: 4 << 10}
	}
	return out
}

type repository struct {
	*branch.Stores
	j *journal.Journal
}

func openAll(ctx context.Context, fsys vfs.FS, dir string, names ...string) (*repository, error) {
	j, err := journal.Open(ctx, fsys, dir, journal.Options{SegmentSize: 1 << 15})
	if err != nil {
		return nil, err
	}
	s, err := branch.OpenStores(ctx, j, optionsOf(names...))
	if err != nil {
		return nil, errors.Join(err, j.Close(ctx))
	}
	return &repository{Stores: s, j: j}, nil
}

func (r *repository) close(ctx context.Context) error {
	return errors.Join(r.Close(ctx), r.j.Close(ctx))
}

// TestSeveralBranches writes to three branches on the real disk, restarts with
// others open, and looks at the result through the stores and through stock Git.
func TestSeveralBranches(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	revisions := map[string]int64{}
	rounds := [][]string{{"main"}, {"main", "a"}, {"b", "a", "main"}, {"b"}, {"a"}, {"a", "b", "main"}}
	wrote := map[string]int{}
	for round, names := range rounds {
		r, err := openAll(ctx, vfs.OS{}, dir, names...)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for i, name := range names {
			if got := r.Each[i].Revision(); revisions[name] > 0 && got != revisions[name] {
				t.Errorf("round %d: %s is at revision %d, was at %d", round, name, got, revisions[name])
			}
			for k := range 10 {
				res, err := r.Each[i].Txn(ctx, put(fmt.Sprintf("/registry/pods/%s/p%d", name, k), fmt.Sprintf(`{"round":%d}`, round)))
				if err != nil {
					t.Fatal(err)
				}
				revisions[name] = res.Revision
			}
			wrote[name]++
		}
		if err := r.close(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for name, n := range wrote {
		if want := int64(1 + 10*n); revisions[name] != want {
			t.Errorf("%s is at revision %d, want %d", name, revisions[name], want)
		}
		files := strings.Fields(git(t, dir, "ls-tree", "-r", "--name-only", name))
		if len(files) != 10 || !strings.HasPrefix(files[0], "registry/pods/"+name+"/") {
			t.Errorf("%s holds %q", name, files)
		}
	}
	git(t, dir, "fsck", "--strict")
	if err := journal.Check(vfs.OS{}, dir, func(law, where string) { t.Errorf("law %s is broken: %s", law, where) }); err != nil {
		t.Error(err)
	}
}

// TestFirstBranchIsFirst refuses to give one branch's records to another.
func TestFirstBranchIsFirst(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	r, err := openAll(ctx, vfs.OS{}, dir, "main")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Each[0].Txn(ctx, put("/a", "1")); err != nil {
		t.Fatal(err)
	}
	if err := r.close(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := openAll(ctx, vfs.OS{}, dir, "a", "main"); !errors.Is(err, mvcc.ErrForeignHead) || !strings.Contains(err.Error(), "put that one first") {
		t.Errorf("got %v", err)
	}
	if r, err = openAll(ctx, vfs.OS{}, dir, "main", "a"); err != nil {
		t.Fatal(err)
	}
	if value, _, err := r.Each[0].KeyState("/a"); string(value) != "1" || err != nil {
		t.Errorf("/a is %q, %v", value, err)
	}
	if err := r.close(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestIdleBranchHoldsNothingBack has one branch write while another rests with
// a record of its own: what a start has to read stays bounded.
func TestIdleBranchHoldsNothingBack(t *testing.T) {
	ctx, fsys := t.Context(), &vfs.Mem{}
	r, err := openAll(ctx, fsys, "/r", "busy", "idle")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Each[1].Txn(ctx, put("/registry/x", "1")); err != nil {
		t.Fatal(err)
	}
	var behind uint64
	deadline := time.Now().Add(20 * time.Second)
	for n := 0; ; n++ {
		if _, err := r.Each[0].Txn(ctx, put("/registry/y", fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
		_, upTo, err := r.j.LastCheckpoint()
		if err != nil {
			t.Fatal(err)
		}
		if behind = r.j.Seq() - upTo; upTo > 500 && n > 1000 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the checkpoint stays %d frames behind", behind)
		}
	}
	if err := r.close(ctx); err != nil {
		t.Fatal(err)
	}
}

// TestCrashSeveral cuts the power again and again while clients write to those
// of three branches that happen to be open.
func TestCrashSeveral(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	all := []string{"main", "a", "b"}
	told := map[string]*acked{}
	for _, n := range all {
		told[n] = &acked{count: map[string]int{}, rev: map[string]int64{}}
	}
	fsys := &vfs.Mem{}
	for round := range 30 {
		names := slices.Clone(all[:1+round%3])
		if round > 3 {
			random.Shuffle(3, func(i, k int) { all[i], all[k] = all[k], all[i] })
			names = slices.Clone(all[:1+random.IntN(3)])
		}
		r, err := openAll(t.Context(), fsys, "/r", names...)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		fsys = crashOnce(t, r, fsys, names, told, round, random)
	}
	r, err := openAll(t.Context(), fsys, "/r", all...)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range all {
		told[name].check(t, r.Each[i], -1)
		t.Logf("%s: %d keys at revision %d", name, len(told[name].count), r.Each[i].Revision())
	}
	if err := r.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := journal.Check(fsys, "/r", func(law, where string) { t.Errorf("law %s is broken: %s", law, where) }); err != nil {
		t.Error(err)
	}
}

// crashOnce writes to all open branches until the power goes, and returns what is left of the disk.
func crashOnce(t *testing.T, r *repository, fsys *vfs.Mem, names []string, told map[string]*acked, round int, random *rand.Rand) *vfs.Mem {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	crash, limit := vfs.Crash(round%3), 20+random.IntN(200)
	cut := make(chan *vfs.Mem, 1)
	var once sync.Once
	var group sync.WaitGroup
	for i, name := range names {
		a := told[name]
		a.round = 0
		a.check(t, r.Each[i], round)
		for client := range 4 {
			group.Go(func() {
				for ctx.Err() == nil {
					if n := a.write(ctx, t, r.Each[i], client); n >= limit {
						once.Do(func() {
							for _, name := range names { // what is acknowledged later was so after the crash: it is not told
								told[name].mu.Lock()
								defer told[name].mu.Unlock()
							}
							cut <- fsys.CrashClone(crash, random)
							cancel()
						})
					}
				}
			})
		}
	}
	group.Wait()
	if err := r.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return <-cut
}
