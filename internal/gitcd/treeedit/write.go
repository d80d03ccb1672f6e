// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package treeedit

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// minDelta is the size of content below which a tree is not worth a delta.
const minDelta = 512

// writer is one Write.
type writer struct {
	r     Reader
	emit  func(Object) error
	round uint64
	kept  int

	checked map[gitobj.ID]struct{}
}

// child is a name in a directory that edits touch.
type child struct {
	name      string
	edits     *edit
	file, sub probe // a name lies in a tree as a file or as a directory
}

// probe is a place in an encoded tree.
type probe struct {
	name     string
	dir      bool
	at, size int       // where the entry is and how long; size 0: where it would go
	id       gitobj.ID // what is there
	have     []byte    // the entry
	mode     string    // its mode, empty if no key's file nor a directory has it
	want     []byte    // the entry to be there; none means nothing
}

// strange says whether a probe found what is neither a key's file nor a directory.
func (p *probe) strange() bool { return p.size > 0 && p.mode == "" }

// dir returns the directory that comes of applying edits to old. value is the
// value of the key that the directory spells, if it lay as a file until now.
func (w *writer) dir(ctx context.Context, path string, old *dir, value gitobj.ID, edits *edit) (*dir, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := w.read(old); err != nil {
		return nil, fmt.Errorf("directory %q: %w", path, err)
	}
	children, err := childrenOf(edits, old.data)
	if err != nil {
		return nil, fmt.Errorf("directory %q: %w", path, err)
	}
	probes := make([]*probe, 0, 2*len(children)+1)
	if edits.set {
		value = edits.blob
	}
	if edits.set || !value.IsZero() {
		probes = append(probes, &probe{name: layout.Self, want: fileEntry(layout.Self, value)})
	}
	for i := range children {
		probes = append(probes, &children[i].file, &children[i].sub)
	}
	slices.SortFunc(probes, func(a, b *probe) int { return gitobj.CompareNames([]byte(a.name), a.dir, []byte(b.name), b.dir) })
	if err := find(old.data, probes); err != nil {
		return nil, fmt.Errorf("directory %q: %w", path, err)
	}
	for _, p := range probes {
		if p.name == layout.Self && p.strange() && p.want == nil {
			p.want = p.have // only a key takes its place
		}
	}
	next := &dir{read: true, children: old.children, used: w.round}
	for i := range children {
		if err := w.child(ctx, path, next, &children[i]); err != nil {
			return nil, err
		}
	}
	return w.finish(old, next, probes)
}

// childrenOf lists the names that edits touch, in order, so that equal edits
// emit equal objects in equal order. Names are those in the directory.
func childrenOf(edits *edit, data []byte) ([]child, error) {
	out := make([]child, 0, len(edits.below))
	for name, below := range edits.below {
		name, err := nameIn(data, name)
		if err != nil {
			return nil, err
		}
		out = append(out, child{name: name, edits: below, file: probe{name: name}, sub: probe{name: name, dir: true}})
	}
	slices.SortFunc(out, func(a, b child) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	return out, nil
}

// nameIn returns the name of a component in a directory: it is the component
// itself, unless only a name that others gave it is there.
func nameIn(data []byte, comp string) (string, error) {
	literal := layout.Literal(comp)
	if literal == "" || len(data) == 0 {
		return comp, nil
	}
	ours, err := holds(data, comp)
	if err != nil || ours {
		return comp, err
	}
	theirs, err := holds(data, literal)
	if err != nil || !theirs {
		return comp, err
	}
	return literal, nil
}

// holds says whether a directory has a name, as a file or a directory.
func holds(data []byte, name string) (bool, error) {
	file, sub := probe{name: name}, probe{name: name, dir: true}
	err := find(data, []*probe{&file, &sub})
	return file.size > 0 || sub.size > 0, err
}

// child decides what becomes of one name: a file, a directory, or nothing.
func (w *writer) child(ctx context.Context, path string, parent *dir, c *child) error {
	path += "/" + c.name
	if c.file.size > 0 && c.sub.size > 0 {
		return fmt.Errorf("%q is both a file and a directory: %w", path, gitobj.ErrMalformed)
	}
	if c.file.strange() {
		defer func() {
			if c.file.want == nil && c.sub.want == nil {
				c.file.want = c.file.have // only a key takes its place
			}
		}()
		c.file.id = gitobj.Zero
	}
	if c.sub.size == 0 && len(c.edits.below) == 0 {
		c.file.want = c.file.entry(c.edits.blob)
		return nil
	}
	old := parent.children[c.name]
	if old == nil || old.id != c.sub.id {
		old = &dir{id: c.sub.id}
	}
	next, err := w.dir(ctx, path, old, c.file.id, c.edits)
	if err != nil {
		return err
	}
	blob, alone, err := next.onlyValue()
	if err != nil {
		return fmt.Errorf("directory %q: %w", path, err)
	}
	if alone || len(next.data) == 0 {
		c.file.want = c.file.entry(blob)
		w.kept -= len(next.data)
		delete(parent.children, c.name)
		return nil
	}
	if parent.children == nil {
		parent.children = make(map[string]*dir)
	}
	parent.children[c.name] = next
	c.sub.want = gitobj.AppendEntry(nil, gitobj.Entry{Mode: gitobj.ModeDir, Name: c.name, ID: next.id})
	return nil
}

// read gets a directory's content if it is not known yet, and sees to it that
// it is in order: what is looked up and changed afterwards takes it to be.
func (w *writer) read(d *dir) error {
	if d.read {
		return nil
	}
	data, err := readTree(w.r, d.id)
	if err != nil {
		return err
	}
	if _, ok := w.checked[d.id]; !ok {
		c, err := gitobj.NewCursor(data)
		if err == nil {
			err = c.Check()
		}
		if err != nil {
			return fmt.Errorf("check tree %s: %w", d.id, err)
		}
		w.inOrder(d.id, data)
	}
	d.data, d.read = data, true
	w.kept += len(data)
	return nil
}

// inOrder remembers that a tree is.
func (w *writer) inOrder(id gitobj.ID, data []byte) {
	if len(data) < largeTree {
		return
	}
	if len(w.checked) >= keptChecks {
		clear(w.checked)
	}
	w.checked[id] = struct{}{}
}

func readTree(r Reader, id gitobj.ID) ([]byte, error) {
	if id.IsZero() || id == EmptyTree {
		return nil, nil
	}
	kind, data, err := r.Get(id)
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", id, err)
	}
	if kind != gitobj.KindTree {
		return nil, fmt.Errorf("read tree %s: it is a %s: %w", id, kind, gitobj.ErrMalformed)
	}
	return data, nil
}

// find fills in where the probes, which are in order, are.
func find(data []byte, probes []*probe) error {
	c, err := gitobj.NewCursor(data)
	if err != nil {
		return err
	}
	for _, p := range probes {
		name := []byte(p.name)
		if err := c.Seek(name, p.dir); err != nil {
			return err
		}
		p.at = c.At
		if c.Done() || c.Compare(name, p.dir) != 0 {
			continue
		}
		p.size, p.id, p.have, p.mode = len(c.Entry()), c.ID(), c.Entry(), modeOf(c.Mode())
		if p.dir && p.mode != modeDir {
			return fmt.Errorf("read tree at byte %d: directory %q has mode %q: %w", p.at, p.name, c.Mode(), gitobj.ErrMalformed)
		}
	}
	return nil
}

// finish makes the new content, and emits it if it is new.
func (w *writer) finish(old, next *dir, probes []*probe) (*dir, error) {
	var splices []splice
	for _, p := range probes {
		if !bytes.Equal(old.data[p.at:p.at+p.size], p.want) {
			splices = append(splices, splice{at: p.at, remove: p.size, insert: p.want})
		}
	}
	if len(splices) == 0 && !old.id.IsZero() {
		next.id, next.data = old.id, old.data
		return next, nil
	}
	next.data = apply(old.data, splices)
	next.id = gitobj.HashOwn(gitobj.KindTree, next.data)
	w.inOrder(next.id, next.data)
	w.kept += len(next.data) - len(old.data)
	if _, alone, err := next.onlyValue(); err != nil || alone {
		return next, err // the parent holds the value itself
	}
	o := Object{Kind: gitobj.KindTree, ID: next.id, Data: next.data}
	if len(old.data) > 0 && len(next.data) >= minDelta {
		if delta := deltaOf(len(old.data), len(next.data), splices); len(delta) < len(next.data)/2 {
			o.Base, o.Delta = old.id, delta
		}
	}
	return next, w.emit(o)
}

// onlyValue says whether a directory holds the value of the key it spells and
// no other: then it is to be a file.
func (d *dir) onlyValue() (gitobj.ID, bool, error) {
	if len(d.data) == 0 {
		return gitobj.Zero, false, nil
	}
	c, err := gitobj.NewCursor(d.data)
	if err != nil {
		return gitobj.Zero, false, err
	}
	if c.Next != len(d.data) || c.Dir || string(c.Name) != layout.Self || modeOf(c.Mode()) == "" {
		return gitobj.Zero, false, nil
	}
	return c.ID(), true, nil
}

// entry encodes the entry of a value in place of what a probe found. A file that is executable stays it.
func (p *probe) entry(blob gitobj.ID) []byte {
	if p.mode != modeExec || blob.IsZero() {
		return fileEntry(p.name, blob)
	}
	return append(append([]byte(modeExec+" "+p.name), 0), blob[:]...)
}

// fileEntry encodes the entry of a value; no blob is no entry.
func fileEntry(name string, blob gitobj.ID) []byte {
	if blob.IsZero() {
		return nil
	}
	return gitobj.AppendEntry(nil, gitobj.Entry{Mode: gitobj.ModeFile, Name: name, ID: blob})
}
