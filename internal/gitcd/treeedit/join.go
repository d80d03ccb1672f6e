// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package treeedit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// Walk yields every key of a tree with the id of its blob, in the order of the
// tree. What is no key's is passed over.
func Walk(ctx context.Context, r Reader, root gitobj.ID, yield func(key string, blob gitobj.ID) error) error {
	return WalkAll(ctx, r, root, yield, func(string) error { return nil })
}

// WalkAll is Walk, and tells the paths of what is no key's: a symbolic link, a
// submodule, a name that no key has.
func WalkAll(ctx context.Context, r Reader, root gitobj.ID, yield func(key string, blob gitobj.ID) error, other func(path string) error) error {
	j := joiner{r: r, skip: never, width: 1, yield: func(key string, ids []gitobj.ID) error { return yield(key, ids[0]) }, other: other}
	return j.ids(ctx, nil, []gitobj.ID{root})
}

func never([]gitobj.ID) bool { return false }

// Diff yields the keys whose blobs differ between two trees; a zero id means
// that the key is not there. Equal sub-trees are not read. What is no key's is passed over.
func Diff(ctx context.Context, r Reader, a, b gitobj.ID, yield func(key string, a, b gitobj.ID) error) error {
	if a == b {
		return nil
	}
	equal := func(ids []gitobj.ID) bool { return ids[0] == ids[1] }
	j := joiner{r: r, skip: equal, width: 2, yield: func(key string, ids []gitobj.ID) error { return yield(key, ids[0], ids[1]) }}
	j.other = func(string) error { return nil }
	return j.ids(ctx, nil, []gitobj.ID{a, b})
}

// Join walks several trees at once and yields the ids of each key's blobs, one
// for each tree, zero where the key is not there. What skip says of a key's
// blobs, or of a name's sub-directories, is passed over; it may look only at
// which of the ids are equal or zero. The order is a function of the trees, but
// not that of the keys. The ids are valid until yield returns.
//
// What is no key's and is not skipped is an error that names the place: by keys
// alone such trees cannot be merged.
func Join(ctx context.Context, r Reader, roots []gitobj.ID, skip func(ids []gitobj.ID) bool, yield func(key string, ids []gitobj.ID) error) error {
	if skip(roots) {
		return nil
	}
	j := joiner{r: r, skip: skip, yield: yield, width: len(roots)}
	j.other = func(path string) error {
		return fmt.Errorf("%q is not the file of a key, and is not the same on all sides: %w; bring the sides together there with stock Git", path, ErrNoKey)
	}
	return j.ids(ctx, nil, roots)
}

// ErrNoKey says that something in a tree cannot be merged, since it is no key's.
var ErrNoKey = errors.New("not a file of a key")

type joiner struct {
	r     Reader
	skip  func([]gitobj.ID) bool
	yield func(string, []gitobj.ID) error
	other func(path string) error // told of what is no key's and is not skipped
	width int                     // how many trees are walked
}

// strange takes what is no key's.
func (j *joiner) strange(path []string, name string, ids []gitobj.ID) error {
	if none(ids) || j.skip(ids) {
		return nil
	}
	return j.other(strings.Join(append(slices.Clone(path), name), "/"))
}

func none(ids []gitobj.ID) bool {
	return !slices.ContainsFunc(ids, func(id gitobj.ID) bool { return !id.IsZero() })
}

// odd is a name that some trees have as a file and others not, so that it may
// be a directory there.
type odd struct{ files, dirs []gitobj.ID }

func (j *joiner) ids(ctx context.Context, path []string, ids []gitobj.ID) error {
	contents := make([][]byte, j.width)
	for i, id := range ids {
		data, err := readTree(j.r, id)
		if err != nil {
			return fmt.Errorf("directory %q: %w", strings.Join(path, "/"), err)
		}
		contents[i] = data
	}
	return j.contents(ctx, path, contents)
}

// contents walks the encoded trees of one directory.
func (j *joiner) contents(ctx context.Context, path []string, contents [][]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	level := level{path: path, cursors: make([]gitobj.Cursor, j.width), ids: make([]gitobj.ID, j.width), odds: make(map[string]*odd)}
	for i, data := range contents {
		var err error
		if level.cursors[i], err = gitobj.NewCursor(data); err != nil {
			return fmt.Errorf("directory %q: %w", strings.Join(path, "/"), err)
		}
	}
	for {
		if err := j.run(&level); err != nil {
			return fmt.Errorf("directory %q: %w", strings.Join(path, "/"), err)
		}
		next := level.next()
		if next == nil {
			break
		}
		if err := j.entry(ctx, &level, *next); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(level.odds)) {
		o := level.odds[name]
		if level.passed && o.files != nil { // its directory may be among what was passed over
			if err := level.alone(name, o.files, true); err != nil {
				return err
			}
		}
		if err := j.odd(ctx, path, name, o); err != nil {
			return err
		}
	}
	return nil
}

// entry takes the entry that is next in order from all trees that have it.
func (j *joiner) entry(ctx context.Context, l *level, next gitobj.Cursor) error {
	have, err := l.take(next)
	if err != nil {
		return fmt.Errorf("directory %q: %w", strings.Join(l.path, "/"), err)
	}
	if l.strange {
		if err := j.strange(l.path, string(next.Name), l.others); err != nil {
			return err
		}
		if have == 0 {
			return nil
		}
	}
	if !layout.Plain(next.Name) && string(next.Name) != layout.Self {
		if ours, err := j.name(l, next); err != nil || !ours {
			return err
		}
	}
	all := have == j.width
	if next.Dir {
		if err := l.alone(string(next.Name), l.ids, false); err != nil {
			return err
		}
	}
	switch {
	case !all && string(next.Name) != layout.Self:
		l.keep(string(next.Name), next.Dir)
		return nil
	case j.skip(l.ids):
		return nil
	case next.Dir:
		return j.ids(ctx, append(l.path, string(next.Name)), slices.Clone(l.ids))
	default:
		return j.file(l.path, string(next.Name), l.ids)
	}
}

// name finds out what a name stands for. One that others gave is kept under the
// component that it stands for, for the trees that do not have that, too.
func (j *joiner) name(l *level, next gitobj.Cursor) (ours bool, err error) {
	name := string(next.Name)
	comp, ok := layout.Component(name)
	switch {
	case !ok:
		return false, j.strange(l.path, name, l.ids)
	case comp == name:
		return true, nil
	}
	for i := range l.ids {
		if l.ids[i].IsZero() {
			continue
		}
		both, err := holds(l.cursors[i].Data, comp)
		if err == nil && both {
			err = fmt.Errorf("%q and %q are two names for one key: %w; rename one of them with stock Git", name, comp, gitobj.ErrMalformed)
		}
		if err != nil {
			return false, fmt.Errorf("directory %q: %w", strings.Join(l.path, "/"), err)
		}
	}
	l.keep(comp, next.Dir)
	return false, nil
}

// run passes over the entries that come next and are the same in all trees, if
// they are to be skipped. What they are is not looked at.
func (j *joiner) run(l *level) error {
	first := &l.cursors[0]
	if j.width == 1 || first.Done() {
		return nil
	}
	same := len(first.Data) - first.At
	for _, c := range l.cursors[1:] {
		same = gitobj.Common(first.Data[first.At:first.At+same], c.Data[c.At:])
	}
	if first.Next-first.At > same {
		return nil
	}
	for i := range l.ids {
		l.ids[i] = first.ID()
	}
	if !j.skip(l.ids) {
		return nil
	}
	from := first.At
	if err := first.Pass(same); err != nil {
		return err
	}
	l.passed = true
	for i := range l.cursors[1:] {
		if err := l.cursors[i+1].Follow(first.At - from); err != nil {
			return err
		}
	}
	return nil
}

// level is one directory on the way through several trees.
type level struct {
	path    []string
	cursors []gitobj.Cursor
	ids     []gitobj.ID // of the current entry in each tree
	others  []gitobj.ID // of the current entry in the trees where it is neither a key's file nor a directory
	strange bool        // whether there are such trees

	odds   map[string]*odd
	passed bool // entries were passed over without a look
}

// next returns a cursor whose entry is the next in order, nil at the end.
func (l *level) next() *gitobj.Cursor {
	var next *gitobj.Cursor
	for i := range l.cursors {
		c := &l.cursors[i]
		if !c.Done() && (next == nil || c.Compare(next.Name, next.Dir) < 0) {
			next = c
		}
	}
	return next
}

// take moves every cursor that stands on the entry past it, and returns how many did.
func (l *level) take(next gitobj.Cursor) (have int, err error) {
	l.strange = false
	for i := range l.cursors {
		c := &l.cursors[i]
		l.ids[i] = gitobj.Zero
		if c.Done() || c.Dir != next.Dir || !bytes.Equal(c.Name, next.Name) {
			continue
		}
		if modeOf(c.Mode()) != "" {
			l.ids[i] = c.ID()
			have++
		} else {
			if !l.strange {
				l.others, l.strange = make([]gitobj.ID, len(l.ids)), true
			}
			l.others[i] = c.ID()
		}
		if err := c.Advance(); err != nil {
			return 0, err
		}
	}
	return have, nil
}

// alone sees to it that no tree has a name in the other form as well: as a
// directory if the trees with these ids have it as a file, and the reverse.
func (l *level) alone(name string, ids []gitobj.ID, dir bool) error {
	for i := range l.cursors {
		if ids[i].IsZero() {
			continue
		}
		other := probe{name: name, dir: dir}
		if err := find(l.cursors[i].Data, []*probe{&other}); err != nil {
			return fmt.Errorf("directory %q: %w", strings.Join(l.path, "/"), err)
		}
		if other.size > 0 && !other.strange() {
			return errTwice(l.path, []byte(name))
		}
	}
	return nil
}

func errTwice(path []string, name []byte) error {
	return fmt.Errorf("%q is both a file and a directory: %w", strings.Join(append(slices.Clone(path), string(name)), "/"), gitobj.ErrMalformed)
}

// keep sets a name aside that not all trees have in this form.
func (l *level) keep(name string, dir bool) {
	o := l.odds[name]
	if o == nil {
		o = new(odd)
		l.odds[name] = o
	}
	ids := &o.files
	if dir {
		ids = &o.dirs
	}
	if *ids == nil {
		*ids = slices.Clone(l.ids)
		return
	}
	for i, id := range l.ids { // one name stands for the other
		if !id.IsZero() {
			(*ids)[i] = id
		}
	}
}

// odd takes a name that not all trees have in the same form.
func (j *joiner) odd(ctx context.Context, path []string, name string, o *odd) error {
	if o.dirs == nil {
		if j.skip(o.files) {
			return nil
		}
		return j.file(path, name, o.files)
	}
	path = append(path, name)
	if o.files == nil {
		if j.skip(o.dirs) {
			return nil
		}
		return j.ids(ctx, path, o.dirs)
	}
	contents := make([][]byte, j.width)
	for i := range contents {
		switch file, sub := o.files[i], o.dirs[i]; {
		case !file.IsZero() && !sub.IsZero():
			return errTwice(path[:len(path)-1], []byte(name))
		case !file.IsZero():
			contents[i] = fileEntry(layout.Self, file) // a file is a directory that holds its value only
		default:
			data, err := readTree(j.r, sub)
			if err != nil {
				return fmt.Errorf("directory %q: %w", strings.Join(path, "/"), err)
			}
			contents[i] = data
		}
	}
	return j.contents(ctx, path, contents)
}

// file yields one key.
func (j *joiner) file(path []string, name string, ids []gitobj.ID) error {
	if name != layout.Self {
		path = append(path, name)
	}
	key, err := layout.Join(path)
	if errors.Is(err, layout.ErrNotCanonical) {
		return j.strange(path[:max(len(path)-1, 0)], name, ids)
	}
	if err != nil {
		return fmt.Errorf("name key of %q: %w", strings.Join(path, "/"), err)
	}
	return j.yield(key, ids)
}

// The modes of what keys have. Anything else, a symbolic link or a submodule, is no key's.
const (
	modeDir  = "40000"
	modeFile = "100644"
	modeExec = "100755"
	modeOld  = "100664" // what early versions of Git wrote
)

// modeOf returns which of these a mode is, empty if it is none.
func modeOf(mode []byte) string {
	for _, m := range [...]string{modeFile, modeDir, modeExec, modeOld} {
		if string(mode) == m {
			return m
		}
	}
	return ""
}
