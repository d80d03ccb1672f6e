// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package conflict

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

const (
	openSuffix     = ".json"
	resolvedSuffix = ".resolved.json"
)

// The refusals.
var (
	// ErrNotFound is wrapped when no record has an id.
	ErrNotFound = errors.New("no such conflict")
	// ErrAmbiguous is wrapped when several records' ids begin as the one that was given.
	ErrAmbiguous = errors.New("several conflicts have ids that begin so")
	// ErrResolved is wrapped when a conflict has been resolved before.
	ErrResolved = errors.New("the conflict is resolved already")
)

// Entry is a record's place in the tree.
type Entry struct {
	// ID is the last part of the file's name, without its endings.
	ID string
	// Key is the conflict's, as the tree has it.
	Key string
	// Resolved says whether a person has decided it.
	Resolved bool
	Blob     gitobj.ID
}

// entryOf reads the name of a record's file.
func entryOf(name string, blob gitobj.ID) (Entry, bool) {
	at := strings.LastIndexByte(name, '/')
	if at < 0 {
		return Entry{}, false
	}
	e := Entry{Key: name[:at], Blob: blob}
	id, ok := strings.CutSuffix(name[at+1:], resolvedSuffix)
	if e.Resolved = ok; !ok {
		id, ok = strings.CutSuffix(name[at+1:], openSuffix)
	}
	e.ID = id
	return e, ok && id != ""
}

func (e Entry) name() string {
	if e.Resolved {
		return e.Key + "/" + e.ID + resolvedSuffix
	}
	return e.Key + "/" + e.ID + openSuffix
}

// ValidName says whether a name is one of an open record's.
func ValidName(name string) bool {
	e, ok := entryOf(name, gitobj.Zero)
	return ok && !e.Resolved
}

// List yields every record of a tree. Other files are passed over. A zero tree has none.
func List(ctx context.Context, r treeedit.Reader, tree gitobj.ID, yield func(Entry) error) error {
	if tree.IsZero() || tree == treeedit.EmptyTree {
		return nil
	}
	err := treeedit.WalkAll(ctx, r, tree, func(name string, blob gitobj.ID) error {
		if e, ok := entryOf(name, blob); ok {
			return yield(e)
		}
		return nil
	}, func(string) error { return nil })
	if err != nil {
		return fmt.Errorf("list conflicts: %w", err)
	}
	return nil
}

// Read reads the record of an entry.
func Read(r treeedit.Reader, e Entry) (Record, error) {
	file, err := read(r, e)
	if err != nil {
		return Record{}, err
	}
	return Parse(file)
}

func read(r treeedit.Reader, e Entry) ([]byte, error) {
	_, file, err := r.Get(e.Blob)
	if err != nil {
		return nil, fmt.Errorf("read conflict %s: %w", e.ID, err)
	}
	return file, nil
}

// Find returns the one record whose id begins as given.
func Find(ctx context.Context, r treeedit.Reader, tree gitobj.ID, id string) (Entry, error) {
	var found []Entry
	err := List(ctx, r, tree, func(e Entry) error {
		if id != "" && strings.HasPrefix(e.ID, id) {
			found = append(found, e)
		}
		return nil
	})
	switch {
	case err != nil:
		return Entry{}, err
	case len(found) == 0:
		return Entry{}, fmt.Errorf("find conflict %q: %w", id, ErrNotFound)
	case len(found) > 1:
		return Entry{}, fmt.Errorf("find conflict %q: %w; give more of the id", id, ErrAmbiguous)
	}
	return found[0], nil
}

// Book edits the tree of the records.
type Book struct {
	r      treeedit.Reader
	tree   gitobj.ID
	editor *treeedit.Editor
	filed  map[string]bool // names of this book's own files
	blobs  []treeedit.Object
}

// Edit begins with a tree; zero is the empty one.
func Edit(r treeedit.Reader, tree gitobj.ID) *Book {
	return &Book{r: r, tree: tree, editor: treeedit.New(r, tree), filed: map[string]bool{}}
}

// File adds a record under the name that merge.Record gave it, and says whether it is new (law C1).
func (b *Book) File(ctx context.Context, name string, content []byte) (fresh bool, err error) {
	e, ok := entryOf(name, gitobj.Zero)
	if !ok || e.Resolved {
		return false, fmt.Errorf("file conflict %q: the name is not <key>/<id>%s", name, openSuffix)
	}
	if b.filed[name] {
		return false, nil
	}
	for _, resolved := range []bool{false, true} {
		e.Resolved = resolved
		if b.tree.IsZero() {
			break
		}
		_, there, err := treeedit.Lookup(ctx, b.r, b.tree, e.name())
		if err != nil {
			return false, fmt.Errorf("file conflict %q: %w", name, err)
		}
		if there {
			return false, nil
		}
	}
	b.filed[name] = true
	return true, b.put(ctx, name, content)
}

// Resolve moves a record to the resolved ones, and returns it as it is then (law C2).
func (b *Book) Resolve(ctx context.Context, id string, how Resolution) (Entry, Record, error) {
	if err := how.Check(); err != nil {
		return Entry{}, Record{}, err
	}
	e, err := Find(ctx, b.r, b.tree, id)
	if err != nil {
		return Entry{}, Record{}, err
	}
	file, err := read(b.r, e)
	if err != nil {
		return Entry{}, Record{}, err
	}
	record, err := Parse(file)
	if err != nil {
		return Entry{}, Record{}, err
	}
	if e.Resolved {
		return e, record, fmt.Errorf("resolve conflict %s: %w", e.ID, ErrResolved)
	}
	how.When = how.When.UTC()
	record.Resolved = &how
	content, err := resolvedFile(file, how)
	if err != nil {
		return Entry{}, Record{}, err
	}
	if err := b.editor.Delete(ctx, e.name()); err != nil {
		return Entry{}, Record{}, fmt.Errorf("resolve conflict %s: %w", e.ID, err)
	}
	e.Resolved = true
	e.Blob = gitobj.Hash(gitobj.KindBlob, content)
	return e, record, b.put(ctx, e.name(), content)
}

func (b *Book) put(ctx context.Context, name string, content []byte) error {
	blob := treeedit.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, content), Data: content}
	if err := b.editor.Set(ctx, name, blob.ID); err != nil {
		return fmt.Errorf("file conflict %q: %w", name, err)
	}
	b.blobs = append(b.blobs, blob)
	return nil
}

// Write hands what is new to emit, blobs first, and returns the tree.
func (b *Book) Write(ctx context.Context, emit func(treeedit.Object) error) (gitobj.ID, error) {
	for _, o := range b.blobs {
		if err := emit(o); err != nil {
			return gitobj.Zero, fmt.Errorf("write conflicts: %w", err)
		}
	}
	b.blobs = nil
	tree, err := b.editor.Write(ctx, emit)
	if err != nil {
		return gitobj.Zero, fmt.Errorf("write conflicts: %w", err)
	}
	b.tree = tree
	return tree, nil
}

// Commit is the one that writes down a resolution, by who decided.
func (e Entry) Commit(r Record, tree gitobj.ID, parents []gitobj.ID) gitobj.Commit {
	who := gitobj.Signature{Name: r.Resolved.By, When: r.Resolved.When}
	return gitobj.Commit{
		Tree: tree, Parents: parents, Author: who, Committer: who,
		Message: fmt.Sprintf("resolve conflict %s: %s\n\n%q %s\n", e.ID, r.Resolved.Decision, r.Key, r.Path),
	}
}
