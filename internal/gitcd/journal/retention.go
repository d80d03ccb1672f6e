// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// History ends at the commits that Git's own file "shallow" names: they are
// there with their trees, but their parents may be gone. All other commits keep
// their ids and their parents. What was before is told by one commit a day, in a
// chain of their own:
//
//	refs/heads/main                     a ◄─ b ◄─ c ◄─ d │ e ◄─ f ◄─ g        e is shallow: a to d may go
//	refs/gitcd/checkpoints/heads/main   b' ◄──── d'      │                    with the trees of b and d, the last of their days

const (
	shallowFile = "shallow"
	// checkpointRefs is where the chains are: the rest is the branch's name behind refs/.
	checkpointRefs = "refs/gitcd/checkpoints/"
)

// Shortened says what shortening the history came to.
type Shortened struct {
	// Commits are those that history has, Boundary of these are its ends, Checkpoints the days that were kept.
	Commits, Boundary, Checkpoints int
}

// Shorten lets the history of all branches and tags end at each first commit
// from before a time: what is behind it is gone with the next repack of
// all. Each day before is kept as one commit. Ids do not change. It is for a repository
// that nothing is merged into: a merge needs the history that both sides have.
func (j *Journal) Shorten(ctx context.Context, before time.Time) (Shortened, error) {
	j.repacking.Lock()
	defer j.repacking.Unlock()
	s := &shortening{j: j, before: before, first: map[gitobj.ID]gitobj.ID{}, was: j.shallowSet(), ends: map[gitobj.ID]bool{}}
	out, err := s.run(ctx)
	if err != nil {
		return out, fmt.Errorf("shorten history: %w", err)
	}
	return out, nil
}

// Shallow says whether history was shortened: then there are commits whose parents are gone.
func (j *Journal) Shallow() bool { return len(j.shallowSet()) > 0 }

func (j *Journal) shallowSet() map[gitobj.ID]bool {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.mu.shallow
}

// shortening is one shortening.
type shortening struct {
	j      *Journal
	before time.Time
	first  map[gitobj.ID]gitobj.ID // commit that history will have -> its first parent, Zero for none
	was    map[gitobj.ID]bool      // where it ends now
	ends   map[gitobj.ID]bool      // where it will end
}

func (s *shortening) run(ctx context.Context) (Shortened, error) {
	refs := s.j.Refs("refs/")
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if strings.HasPrefix(name, checkpointRefs) {
			continue
		}
		if err := s.walk(ctx, refs[name]); err != nil {
			return Shortened{}, fmt.Errorf("walk %s: %w", name, err)
		}
	}
	outside, err := s.j.outside()
	if err != nil {
		return Shortened{}, err
	}
	for _, id := range outside {
		if err := s.walk(ctx, id); err != nil {
			return Shortened{}, fmt.Errorf("walk a ref of Git's: %w", err)
		}
	}
	var f Frame
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if !strings.HasPrefix(name, "refs/heads/") {
			continue
		}
		if err := s.keepDays(ctx, name, refs, &f); err != nil {
			return Shortened{}, fmt.Errorf("keep the days of %s: %w", name, err)
		}
	}
	if len(f.Refs) > 0 {
		if _, err := s.j.Append(ctx, []Frame{f}, true); err != nil {
			return Shortened{}, err
		}
	}
	if err := writeShallow(s.j.fs, s.j.dir, s.ends, !s.j.opts.NoSync); err != nil {
		return Shortened{}, err
	}
	s.j.mu.Lock()
	s.j.mu.shallow = s.ends
	s.j.mu.Unlock()
	return Shortened{Commits: len(s.first), Boundary: len(s.ends), Checkpoints: len(f.Objects)}, nil
}

// walk visits the commits that a ref will reach.
func (s *shortening) walk(ctx context.Context, head gitobj.ID) error {
	for todo := []gitobj.ID{head}; len(todo) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, ok := s.first[id]; ok {
			continue
		}
		next, err := s.visit(id)
		if err != nil {
			return fmt.Errorf("read %s: %w", id, err)
		}
		todo = append(todo, next...)
	}
	return nil
}

// visit returns what is visited behind an object: of a commit where history ends, nothing.
func (s *shortening) visit(id gitobj.ID) ([]gitobj.ID, error) {
	kind, data, err := s.j.get(id)
	if err != nil || kind != gitobj.KindCommit {
		if err == nil && kind == gitobj.KindTag {
			return references(kind, data)
		}
		return nil, err // a ref may name a tree, too
	}
	c, err := gitobj.DecodeCommit(data)
	if err != nil {
		return nil, err
	}
	s.first[id] = gitobj.Zero
	if s.was[id] || len(c.Parents) > 0 && c.Committer.When.Before(s.before) {
		s.ends[id] = true
		return nil, nil
	}
	if len(c.Parents) > 0 {
		s.first[id] = c.Parents[0]
	}
	return c.Parents, nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// keepDays makes a commit of each day's last one that will not be in the history of a branch any more.
func (s *shortening) keepDays(ctx context.Context, name string, refs map[string]gitobj.ID, f *Frame) error {
	chain := checkpointRefs + strings.TrimPrefix(name, "refs/")
	top := refs[chain]
	since := ""
	if !top.IsZero() {
		c, err := s.commit(top)
		if err != nil {
			return err
		}
		since = day(c.Committer.When)
	}
	days, err := s.days(ctx, refs[name], since)
	if err != nil {
		return err
	}
	for _, d := range slices.Backward(days) { // the oldest first
		c := gitobj.Commit{
			Tree: d.Tree, Author: d.Author, Committer: d.Committer,
			Message: fmt.Sprintf("%s at the end of %s\n\nCommit: %s\n", strings.TrimPrefix(name, "refs/heads/"), day(d.Committer.When), d.id),
		}
		if !top.IsZero() {
			c.Parents = []gitobj.ID{top}
		}
		data := c.Encode()
		top = gitobj.Hash(gitobj.KindCommit, data)
		f.Objects = append(f.Objects, Object{Kind: gitobj.KindCommit, ID: top, Data: data})
	}
	if len(days) > 0 {
		f.Refs = append(f.Refs, RefUpdate{Name: chain, Old: refs[chain], New: top})
	}
	return nil
}

// dated is a commit that was a day's last.
type dated struct {
	gitobj.Commit
	id gitobj.ID
}

// days returns the last commit of each day that goes, after one that is kept already, the youngest first.
func (s *shortening) days(ctx context.Context, head gitobj.ID, since string) ([]dated, error) {
	id := head
	for ; !s.ends[id]; id = s.first[id] { // through what stays
		if id.IsZero() {
			return nil, nil
		}
	}
	c, err := s.commit(id)
	if err != nil {
		return nil, err
	}
	last := day(c.Committer.When) // of this day the boundary itself stays, or what follows it
	var out []dated
	for !s.was[id] && len(c.Parents) > 0 {
		id = c.Parents[0]
		if c, err = s.commit(id); err != nil || ctx.Err() != nil {
			return nil, errors.Join(err, ctx.Err())
		}
		d := day(c.Committer.When)
		if d <= since {
			break
		}
		if d < last {
			last = d
			out = append(out, dated{Commit: c, id: id})
		}
	}
	return out, nil
}

func (s *shortening) commit(id gitobj.ID) (gitobj.Commit, error) {
	_, data, err := s.j.get(id)
	if err != nil {
		return gitobj.Commit{}, fmt.Errorf("read %s: %w", id, err)
	}
	c, err := gitobj.DecodeCommit(data)
	if err != nil {
		return c, fmt.Errorf("read %s: %w", id, err)
	}
	return c, nil
}

// writeShallow tells Git, and the next Open, where history ends.
func writeShallow(fsys vfs.FS, dir string, ends map[gitobj.ID]bool, durable bool) error {
	if len(ends) == 0 {
		return nil
	}
	var text strings.Builder
	for _, id := range slices.SortedFunc(maps.Keys(ends), gitobj.ID.Compare) {
		text.WriteString(id.String() + "\n")
	}
	return vfs.WriteFile(fsys, path.Join(dir, shallowFile), []byte(text.String()), durable)
}

// readShallow returns where history ends.
func readShallow(fsys vfs.FS, dir string) (map[gitobj.ID]bool, error) {
	name := path.Join(dir, shallowFile)
	text, err := vfs.ReadFile(fsys, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	ends := map[gitobj.ID]bool{}
	for word := range strings.FieldsSeq(string(text)) {
		id, err := gitobj.ParseID(word)
		if err != nil {
			return nil, &Error{Op: "read", File: name, Offset: -1, Err: fmt.Errorf("%w: %w", err, ErrCorrupt), Hint: hintRestore}
		}
		ends[id] = true
	}
	return ends, nil
}
