// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mergecheck

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	fields "github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// TestM10Acceptable merges each two of the edits of each kind, and has the
// outcome checked by kube-apiserver. A file in testdata has
//
//	resource    version, resource and namespace, as apps/v1 deployments default
//	definition  a CustomResourceDefinition to create first; optional
//	base        the object
//	edit ...    merge patches of it; $S and $N are a word and a number of the side
func TestM10Acceptable(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no kinds: %v", err)
	}
	s := startServer(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			k := newKind(t, s, archive)
			k.each(t)
		})
	}
}

// kind is an object at the server, and edits of it.
type kind struct {
	server *server
	client dynamic.ResourceInterface
	policy merge.Policy
	key    string
	base   map[string]any
	edits  []edit
	twins  int
}

type edit struct{ name, patch string }

func newKind(t *testing.T, s *server, archive *txtar.Archive) *kind {
	t.Helper()
	k := &kind{server: s, policy: merge.Policy{Ours: "heavens/a", Theirs: "main", Owner: merge.DefaultOwners().Owner}}
	var base map[string]any
	for _, f := range archive.Files {
		name, isEdit := strings.CutPrefix(f.Name, "edit ")
		switch {
		case isEdit:
			k.edits = append(k.edits, edit{name, string(f.Data)})
		case f.Name == "resource":
			k.resource(t, strings.Fields(string(f.Data)))
		case f.Name == "definition":
			k.define(t, f.Data)
		case f.Name == "base":
			parse(t, f.Data, &base)
		}
	}
	k.base = k.create(t, base)
	return k
}

func (k *kind) resource(t *testing.T, words []string) {
	t.Helper()
	gv, err := schema.ParseGroupVersion(words[0])
	if err != nil {
		t.Fatal(err)
	}
	resource := k.server.objects.Resource(gv.WithResource(words[1]))
	k.client, k.key = resource, "/registry/"+words[1]+"/x"
	if len(words) > 2 {
		k.client, k.key = resource.Namespace(words[2]), "/registry/"+words[1]+"/"+words[2]+"/x"
	}
}

// define creates a definition, and waits until it is served.
func (k *kind) define(t *testing.T, definition []byte) {
	t.Helper()
	var crd map[string]any
	parse(t, definition, &crd)
	data, err := json.Marshal(crd)
	if err != nil {
		t.Fatal(err)
	}
	custom, err := fields.NewCustom(data)
	if err != nil {
		t.Fatal(err)
	}
	k.policy.Schema = fields.Layers{fields.Default{}, custom}
	crds := k.server.objects.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := crds.Create(t.Context(), &unstructured.Unstructured{Object: crd}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		_, err := k.client.List(t.Context(), metav1.ListOptions{})
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// create creates an object with its status, and returns it as the server has it.
func (k *kind) create(t *testing.T, o map[string]any) map[string]any {
	t.Helper()
	made, err := k.client.Create(t.Context(), &unstructured.Unstructured{Object: o}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	status, ok := o["status"]
	if !ok {
		return made.Object
	}
	made.Object["status"] = patched(made.Object["status"], status)
	if made, err = k.client.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return made.Object
}

// each merges each two edits.
func (k *kind) each(t *testing.T) {
	t.Helper()
	base := encode(t, k.base)
	merges, conflicts := 0, 0
	for i, x := range k.edits {
		ours := x.on(t, k.base, "ours", "71")
		if err := k.accepts(t, ours); err != nil {
			t.Errorf("edit %s is none: %v", x.name, err)
			continue
		}
		for n, y := range k.edits[i:] {
			first, second := x, y
			if n%2 > 0 { // which of two edits is main's is left to chance
				first, second = y, x
			}
			r := merge.Object(k.key, base, encode(t, first.on(t, k.base, "ours", "71")), encode(t, second.on(t, k.base, "theirs", "82")), k.policy)
			var merged map[string]any
			parse(t, r.Value, &merged)
			if err := k.accepts(t, merged); err != nil {
				t.Errorf("%s + %s by %s, conflicts %s: %v", first.name, second.name, r.Rule, paths(r), err)
				t.Logf("%s", r.Value)
			}
			merges++
			conflicts += min(len(r.Conflicts), 1)
		}
	}
	t.Logf("%d merges, %d with conflicts", merges, conflicts)
}

// accepts asks the server whether it takes an object in the place of the base.
func (k *kind) accepts(t *testing.T, o map[string]any) error {
	t.Helper()
	put := &unstructured.Unstructured{Object: patchedObject(o, nil)}
	node, _, _ := unstructured.NestedString(o, "spec", "nodeName")
	if o["kind"] == "Pod" && node != "" {
		k.bound(t, put, node)
	} else {
		put.SetResourceVersion(resourceVersion(k.base))
	}
	dry := metav1.UpdateOptions{DryRun: []string{metav1.DryRunAll}}
	if _, err := k.client.Update(t.Context(), put, dry); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if k.base["status"] == nil || reflect.DeepEqual(o["status"], k.base["status"]) {
		return nil
	}
	if _, err := k.client.UpdateStatus(t.Context(), put, dry); err != nil {
		return fmt.Errorf("update status: %w", err)
	}
	return nil
}

// bound makes a twin of the base that is bound to a node, and lets a pod take its name.
func (k *kind) bound(t *testing.T, pod *unstructured.Unstructured, node string) {
	t.Helper()
	k.twins++
	twin := &unstructured.Unstructured{Object: patchedObject(k.base, nil)}
	twin.SetName(fmt.Sprintf("%s-%d", twin.GetName(), k.twins))
	twin.SetResourceVersion("")
	twin.SetUID("")
	o := k.create(t, twin.Object)
	name, _, _ := unstructured.NestedString(o, "metadata", "name")
	pods := k.server.client.CoreV1().Pods(twin.GetNamespace())
	if err := pods.Bind(t.Context(), &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name}, Target: corev1.ObjectReference{Name: node}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	made, err := k.client.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.SetName(name)
	pod.SetUID(made.GetUID())
	pod.SetResourceVersion(made.GetResourceVersion())
}

func paths(r merge.Result) string {
	var out []string
	for _, c := range r.Conflicts {
		out = append(out, fmt.Sprintf("%s by %s", c.Path, c.Why))
	}
	return strings.Join(out, ", ")
}

// on makes the edit for a side. What an API server keeps account of, it does
// not: the generation grows with the spec.
func (e edit) on(t *testing.T, base map[string]any, word, number string) map[string]any {
	t.Helper()
	var patch map[string]any
	parse(t, []byte(strings.NewReplacer("$S", word, "$N", number).Replace(e.patch)), &patch)
	out := patchedObject(base, patch)
	if _, ok := patch["spec"]; ok {
		if generation, found, _ := unstructured.NestedFloat64(out, "metadata", "generation"); found {
			out = patchedObject(out, map[string]any{"metadata": map[string]any{"generation": generation + 1}})
		}
		if generation, found, _ := unstructured.NestedInt64(out, "metadata", "generation"); found {
			out = patchedObject(out, map[string]any{"metadata": map[string]any{"generation": generation + 1}})
		}
	}
	return out
}

// patched is RFC 7386.
func patched(base, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	out := map[string]any{}
	if b, ok := base.(map[string]any); ok {
		maps.Copy(out, b)
	}
	for name, v := range p {
		if v == nil {
			delete(out, name)
			continue
		}
		out[name] = patched(out[name], v)
	}
	return out
}

// patchedObject returns an object that shares nothing with the base's metadata.
func patchedObject(base, patch map[string]any) map[string]any {
	if patch == nil {
		patch = map[string]any{"metadata": map[string]any{}}
	}
	out, _ := patched(base, patch).(map[string]any)
	return out
}

func resourceVersion(o map[string]any) string {
	rv, _, _ := unstructured.NestedString(o, "metadata", "resourceVersion")
	return rv
}

func parse(t *testing.T, data []byte, into *map[string]any) {
	t.Helper()
	text, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	var o unstructured.Unstructured
	if err := json.Unmarshal(text, &o.Object); err != nil {
		t.Fatal(err)
	}
	*into = o.Object
}

// encode writes an object as it is stored: without a resourceVersion.
func encode(t *testing.T, o map[string]any) []byte {
	t.Helper()
	out, err := json.Marshal(patchedObject(o, map[string]any{"metadata": map[string]any{"resourceVersion": nil}}))
	if err != nil {
		t.Fatal(err)
	}
	return out
}
