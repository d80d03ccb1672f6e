// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// Reader gives the content of objects.
type Reader = treeedit.Reader

// Change is what a merge would do to one key of main.
type Change struct {
	Key string
	// Old and New are the blobs before and after, zero if the key is not there.
	Old, New gitobj.ID
	// Value is the new value if no blob has it yet.
	Value []byte
}

// Verb says what happens to the key.
func (c Change) Verb() Verb {
	switch {
	case c.Old.IsZero():
		return Create
	case c.New.IsZero():
		return Delete
	default:
		return Update
	}
}

// object is a Kubernetes object, nil if there is none.
type object map[string]any

// part is what a rule covers or not: the creation, the deletion, or a field.
type part struct {
	verb  Verb
	field path // of an update
}

func (p part) String() string {
	if p.verb == Update {
		return "field " + p.field.String()
	}
	return "to " + string(p.verb) + " it"
}

// view is a change as rules look at it. Values are read when one asks for them.
type view struct {
	Change
	r    Reader
	name string // what the star of the branch's pattern stands for
	main *Cluster

	read     bool
	err      error // why the values cannot be read
	old, new object
	fields   []path // that an update changes, less bookkeeping
	dying    []path // those of them by which a deletion begins
}

// bookkeeping is kept by API servers, whoever changes what.
var bookkeeping = []path{{"metadata", "managedFields"}, {"metadata", "generation"}, {"metadata", "selfLink"}, {"metadata", "resourceVersion"}}

// deletion is what the beginning of a deletion changes.
var deletion = []path{
	{"metadata", "deletionTimestamp"},
	{"metadata", "deletionGracePeriodSeconds"},
	{"metadata", "finalizers", "foregroundDeletion"},
	{"metadata", "finalizers", "orphan"},
}

var errUnreadable = errors.New("it is no Kubernetes object in JSON")

// load reads both values and compares them.
func (v *view) load() error {
	if v.read {
		return v.err
	}
	v.read = true
	v.old, v.err = v.decode(v.Old, nil)
	if v.err == nil {
		v.new, v.err = v.decode(v.New, v.Value)
	}
	if v.err != nil || v.old == nil || v.new == nil || v.replaced() {
		return v.err
	}
	begins := v.new.text("metadata", "deletionTimestamp") != ""
	for _, p := range differences(map[string]any(v.old), map[string]any(v.new), nil, nil) {
		covers := func(q path) bool { return q.covers(p) }
		switch {
		case slices.ContainsFunc(bookkeeping, covers):
		case begins && slices.ContainsFunc(deletion, covers):
			v.dying = append(v.dying, p)
		default:
			v.fields = append(v.fields, p)
		}
	}
	slices.SortFunc(v.fields, func(a, b path) int { return slices.Compare(a, b) })
	return nil
}

func (v *view) decode(blob gitobj.ID, value []byte) (object, error) {
	if blob.IsZero() {
		return nil, nil
	}
	if value == nil {
		var err error
		if value, err = readValue(v.r, blob); err != nil {
			return nil, err
		}
	}
	return decode(value)
}

func readValue(r Reader, blob gitobj.ID) ([]byte, error) {
	kind, data, err := r.Get(blob)
	if err != nil {
		return nil, fmt.Errorf("read value %s: %w", blob, err)
	}
	if kind != gitobj.KindBlob {
		return nil, fmt.Errorf("read value %s: it is a %s: %w", blob, kind, gitobj.ErrMalformed)
	}
	return layout.Value(data)
}

func decode(value []byte) (object, error) {
	var o object
	in := json.NewDecoder(bytes.NewReader(value))
	in.UseNumber()
	if err := in.Decode(&o); err != nil || o == nil {
		return nil, errUnreadable // what is wrong with it may be a secret
	}
	return o, nil
}

// encrypted says whether the new value is one that an API server has encrypted, as far as can be seen.
func (v *view) encrypted() bool {
	value, err := v.Value, error(nil)
	if value == nil {
		value, err = readValue(v.r, v.New)
	}
	return err == nil && sealed(value)
}

// wasEncrypted says so of the old value. Whether such an object is being
// deleted cannot be seen; who may write any value there can destroy it anyway.
func (v *view) wasEncrypted() bool {
	value, err := readValue(v.r, v.Old)
	return err == nil && sealed(value)
}

func sealed(value []byte) bool { return bytes.HasPrefix(value, []byte("k8s:enc:")) }

// replaced says whether the key holds another object afterwards.
func (v *view) replaced() bool {
	return v.old != nil && v.new != nil && v.old.text("metadata", "uid") != v.new.text("metadata", "uid")
}

// parts returns what has to be covered. A value that cannot be read is one
// part, without a field.
func (v *view) parts() []part {
	if verb := v.Verb(); verb != Update {
		return []part{{verb: verb}}
	}
	if v.load() != nil {
		return []part{{verb: Update}}
	}
	if v.replaced() {
		return []part{{verb: Delete}, {verb: Create}}
	}
	out := make([]part, 0, len(v.fields)+1)
	if len(v.dying) > 0 {
		out = append(out, part{verb: Delete})
	}
	for _, f := range v.fields {
		out = append(out, part{verb: Update, field: f})
	}
	return out
}

// deletes says whether an object is deleted, or its deletion begins. An object
// whose deletion began before was counted then.
func (v *view) deletes() bool {
	switch v.Verb() {
	case Delete:
		return v.load() != nil || !v.terminating()
	case Update:
		return v.mayDelete() && v.load() == nil && (v.replaced() || len(v.dying) > 0 && !v.terminating())
	default:
		return false
	}
}

// mayDelete looks whether an update can be a deletion before it is parsed: most are not.
func (v *view) mayDelete() bool {
	if v.read {
		return true
	}
	value, err := v.Value, error(nil)
	if value == nil {
		value, err = readValue(v.r, v.New)
	}
	if err != nil || bytes.Contains(value, []byte(`"deletionTimestamp"`)) {
		return true
	}
	before, err := readValue(v.r, v.Old)
	return err != nil || uidOf(before) != uidOf(value)
}

// uidOf finds the first uid of an object, which metadata has unless the object is strange.
func uidOf(value []byte) string {
	_, rest, _ := bytes.Cut(value, []byte(`"uid"`))
	end := bytes.IndexByte(rest, ',')
	return string(rest[:max(end, 0)])
}

func (v *view) terminating() bool { return v.old.text("metadata", "deletionTimestamp") != "" }

// any returns the object afterwards, or before if it is deleted.
func (v *view) any() object {
	if v.new != nil {
		return v.new
	}
	return v.old
}

// at returns a field, nil if it is not there.
func (o object) at(fields ...string) any {
	var v any = map[string]any(o)
	for _, f := range fields {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[f]
	}
	return v
}

// text returns a field that is a text, "" if it is not there.
func (o object) text(fields ...string) string {
	s, _ := o.at(fields...).(string)
	return s
}

// list returns the items of a list that are objects.
func (o object) list(fields ...string) []object {
	items, _ := o.at(fields...).([]any)
	out := make([]object, 0, len(items))
	for _, item := range items {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// texts returns the items of a list that are texts.
func (o object) texts(fields ...string) []string {
	items, _ := o.at(fields...).([]any)
	out := make([]string, 0, len(items))
	for _, item := range items {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
