// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// listy says what lists of a kind there are: by path, what tells items apart and what else they have.
type listy struct {
	apiVersion, kind string
	lists            map[string]itemType
}

type itemType struct {
	keys   []string            // none for a set of strings
	values map[string][]any    // what the keys may be; nil among them for one that is left out
	fields []string            // other fields, which are text
	lists  map[string]itemType // lists below
	order  bool                // the order of items is kept
}

func named(fields ...string) itemType {
	return itemType{keys: []string{"name"}, values: map[string][]any{"name": {"a", "b", "c", "d", "e"}}, fields: fields, order: true}
}

func (i itemType) with(lists map[string]itemType) itemType {
	i.lists = lists
	return i
}

func numbered(number string, fields ...string) itemType {
	return itemType{
		keys: []string{number, "protocol"}, fields: fields, order: true,
		values: map[string][]any{number: {80, 81, 82}, "protocol": {nil, "TCP", "UDP"}},
	}
}

func containers() itemType {
	return named("image", "workingDir").with(map[string]itemType{
		"env":   named("value"),
		"ports": numbered("containerPort", "hostIP"),
		"volumeMounts": {
			keys: []string{"mountPath"}, values: map[string][]any{"mountPath": {"/a", "/b", "/c"}}, fields: []string{"name", "subPath"}, order: true,
		},
	})
}

var listies = []listy{
	{"v1", "PodTemplate", map[string]itemType{
		"template.spec.containers": containers(), "template.spec.initContainers": containers(),
		"template.spec.volumes": named("hostPath", "emptyDir"), "template.spec.imagePullSecrets": named(),
		"template.metadata.finalizers": {order: true},
	}},
	{"apps/v1", "Deployment", map[string]itemType{"spec.template.spec.containers": containers(), "spec.template.spec.volumes": named("hostPath")}},
	{"v1", "Service", map[string]itemType{"spec.ports": numbered("port", "targetPort", "appProtocol")}},
	{"v1", "ServiceAccount", map[string]itemType{"secrets": named("namespace", "fieldPath")}},
	{"v1", "Node", map[string]itemType{
		"status.addresses": {
			keys: []string{"type"}, values: map[string][]any{"type": {"InternalIP", "ExternalIP", "Hostname"}}, fields: []string{"address"}, order: true,
		},
		"status.conditions": {
			keys: []string{"type"}, values: map[string][]any{"type": {"Ready", "Full"}}, fields: []string{"status", "reason"},
		},
	}},
	{"storage.k8s.io/v1", "CSIDriver", map[string]itemType{"spec.volumeLifecycleModes": {order: true}}},
}

// newItem makes an item.
func (i itemType) newItem(t *rapid.T, who string) any {
	if i.keys == nil {
		return rapid.SampledFrom([]string{"p", "q", "r", "s"}).Draw(t, who+" member")
	}
	item := map[string]any{}
	for _, key := range i.keys {
		if v := rapid.SampledFrom(i.values[key]).Draw(t, who+" "+key); v != nil {
			item[key] = v
		}
	}
	return i.change(t, item, who)
}

// change returns a copy of an item with another field, or another list below.
func (i itemType) change(t *rapid.T, item map[string]any, who string) map[string]any {
	out := maps.Clone(item)
	for _, name := range i.fields {
		if rapid.Bool().Draw(t, who+" changes "+name) {
			out[name] = rapid.SampledFrom([]string{"x", "y", who}).Draw(t, who+" text")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i.lists)) {
		if rapid.IntRange(0, 2).Draw(t, who+" goes below") == 0 {
			below, _ := out[name].([]any)
			out[name] = i.lists[name].edit(t, below, who)
		}
	}
	return out
}

// edit returns a copy of a list with some items changed, gone, new or moved.
func (i itemType) edit(t *rapid.T, list []any, who string) []any {
	out := slices.Clone(list)
	for range rapid.IntRange(0, 3).Draw(t, who+" edits") {
		at := rapid.IntRange(0, len(out)).Draw(t, who+" at")
		switch what := rapid.SampledFrom([]string{"add", "add", "change", "remove", "move"}).Draw(t, who+" does"); {
		case what == "add":
			item := i.newItem(t, who)
			if i.keys == nil && slices.Contains(out, item) {
				continue
			}
			out = slices.Insert(out, at, item)
		case at == len(out):
		case what == "remove":
			out = slices.Delete(out, at, at+1)
		case what == "move":
			item := out[at]
			out = slices.Delete(out, at, at+1)
			out = slices.Insert(out, rapid.IntRange(0, len(out)).Draw(t, who+" to"), item)
		case i.keys != nil:
			item, _ := out[at].(map[string]any)
			out[at] = i.change(t, item, who)
		}
	}
	return out
}

// edit returns a copy of an object with some lists edited.
func (l listy) edit(t *rapid.T, o map[string]any, who string) map[string]any {
	for _, path := range slices.Sorted(maps.Keys(l.lists)) {
		names := strings.Split(path, ".")
		list, _ := dig(o, names...).([]any)
		o = put(o, l.lists[path].edit(t, list, who), names...)
	}
	return o
}

func dig(v any, names ...string) any {
	for _, name := range names {
		o, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = o[name]
	}
	return v
}

// seen is what a value has at each path, and the order of the items of lists.
type seen struct {
	leaves map[string]string
	order  map[string][]string
}

// look reads an object as its lists are meant.
func (l listy) look(t rapid.TB, data []byte) seen {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	out := seen{map[string]string{}, map[string][]string{}}
	for path, items := range l.lists {
		list, ok := dig(v, strings.Split(path, ".")...).([]any)
		if ok {
			out.list("."+path, list, items)
		}
	}
	return out
}

func (s seen) list(path string, list []any, items itemType) {
	ids := make([]string, 0, len(list))
	for _, item := range list {
		ids = append(ids, items.id(item))
	}
	if slices.Contains(ids, "[]") || len(slices.Compact(slices.Sorted(slices.Values(ids)))) < len(ids) {
		s.leaves[path] = fmt.Sprint(list)
		return
	}
	if items.order {
		s.order[path] = ids
	}
	for n, item := range list {
		at := path + ids[n]
		s.leaves[at] = "there"
		fields, _ := item.(map[string]any)
		for name, v := range fields {
			below, isList := items.lists[name]
			switch {
			case slices.Contains(items.keys, name):
			case isList:
				below0, _ := v.([]any)
				s.list(at+"."+name, below0, below)
			default:
				s.leaves[at+"."+name] = fmt.Sprint(v)
			}
		}
	}
}

func (i itemType) id(item any) string {
	fields, ok := item.(map[string]any)
	if !ok {
		return fmt.Sprintf("[=%q]", item)
	}
	var parts []string
	for _, key := range i.keys {
		v, ok := fields[key]
		switch {
		case !ok && key == "protocol":
			v = "TCP"
		case !ok:
			continue
		}
		parts = append(parts, fmt.Sprintf("%s=%#v", key, v))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// checkLists holds the laws of merges on random objects with lists.
func checkLists(t *rapid.T) {
	l := rapid.SampledFrom(listies).Draw(t, "kind")
	start := l.edit(t, map[string]any{
		"apiVersion": l.apiVersion, "kind": l.kind, "metadata": map[string]any{"name": "x", "uid": "u1", "creationTimestamp": "2026-01-01T00:00:00Z"},
	}, "base")
	base, ours, theirs := encode(t, start), encode(t, l.edit(t, start, "ours")), encode(t, l.edit(t, start, "theirs"))
	r := checkSymmetric(t, "/k", base, ours, theirs, apart) // M1
	for _, same := range []struct{ base, ours, theirs, want []byte }{
		{base, ours, ours, ours}, {base, base, theirs, theirs}, {base, ours, base, ours}, {ours, r.Value, ours, r.Value},
	} { // M2
		if got := merge.Object("/k", same.base, same.ours, same.theirs, apart); !bytes.Equal(got.Value, same.want) || len(got.Conflicts) > 0 {
			t.Fatalf("M2: %s gives %s, %v", same.want, got.Value, got.Conflicts)
		}
	}
	if r.Rule != merge.Fields {
		return
	}
	was, is := l.look(t, base), l.look(t, r.Value)
	sides := []seen{l.look(t, ours), l.look(t, theirs)}
	covered := func(path string) bool {
		return slices.ContainsFunc(r.Conflicts, func(c merge.Conflict) bool { return strings.HasPrefix(path, c.Path) })
	}
	for _, side := range sides { // M3
		for path := range merged(was.leaves, side.leaves) {
			if side.leaves[path] != was.leaves[path] && side.leaves[path] != is.leaves[path] && !covered(path) {
				t.Fatalf("M3: %s was %q, a side says %q, the result %q, and no conflict says so\n%s\n%s\n%s\n%s",
					path, was.leaves[path], side.leaves[path], is.leaves[path], base, ours, theirs, r.Value)
			}
		}
	}
	for path, order := range is.order {
		if !covered(path) {
			checkOrder(t, path, order, was.order[path], sides[0].order[path], sides[1].order[path])
		}
	}
}

// checkOrder holds that the order of the items is one that a side gave them,
// and where a side moved them, that side's.
func checkOrder(t *rapid.T, path string, merged, base, ours, theirs []string) {
	t.Helper()
	before := func(list []string, x, y string) bool {
		i, j := slices.Index(list, x), slices.Index(list, y)
		return i >= 0 && j >= 0 && i < j
	}
	for i, y := range merged {
		for _, x := range merged[:i] { // x is before y now
			moved := before(base, x, y) && (before(ours, y, x) || before(theirs, y, x))
			if moved || before(ours, y, x) && before(theirs, y, x) {
				t.Fatalf("%s: %s is before %s in %v, of %v, %v and %v", path, x, y, merged, base, ours, theirs)
			}
		}
	}
}

func TestListLaws(t *testing.T) {
	for range 20 {
		rapid.Check(t, checkLists)
	}
}

func FuzzLists(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkLists)) }

// BenchmarkLists merges a Deployment of three containers that both sides changed.
func BenchmarkLists(b *testing.B) {
	var list []any
	for _, name := range []string{"web", "log", "mesh"} {
		var env []any
		for i := range 8 {
			env = append(env, map[string]any{"name": fmt.Sprint("VAR_", i), "value": "something"})
		}
		list = append(list, map[string]any{
			"name": name, "image": "registry.example.org/" + name + ":1", "env": env,
			"ports": []any{map[string]any{"containerPort": 80, "protocol": "TCP"}},
		})
	}
	object := func(image, value string) []byte {
		out := slices.Clone(list)
		web, _ := out[0].(map[string]any)
		out[0] = put(put(web, image, "image"), append([]any{map[string]any{"name": "NEW", "value": value}}, dig(web, "env").([]any)...), "env")
		return encode(b, map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "x", "uid": "u1"},
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": out}}},
		})
	}
	base, ours, theirs := object("web:1", "a"), object("web:2", "a"), object("web:1", "b")
	b.ReportAllocs()
	for b.Loop() {
		if r := merge.Object("/k", base, ours, theirs, apart); r.Rule != merge.Fields || len(r.Conflicts) > 0 {
			b.Fatal(r.Rule, r.Conflicts)
		}
	}
}
