// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

const frontDoor = "heavens/apiserver"

// world is a main, and who judges changes of it.
type world struct {
	t       testing.TB
	objects map[gitobj.ID]treeedit.Object
	reads   int
	main    gitobj.ID
	values  map[string]string // key -> value in main
	judge   *gate.Judge
	meter   *gate.Meter
	now     time.Time
	waits   func(gate, rate string) bool
}

func newWorld(tb testing.TB, set gate.Set, values map[string]string) *world {
	tb.Helper()
	w := &world{t: tb, objects: map[gitobj.ID]treeedit.Object{}, values: map[string]string{}, meter: gate.NewMeter(), now: time.Unix(1_800_000_000, 0)}
	w.judge = gate.NewJudge(set, w, w.meter)
	w.set(values)
	return w
}

func (w *world) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	w.reads++
	o, ok := w.objects[id]
	if !ok {
		return 0, nil, fmt.Errorf("no object %s", id)
	}
	return o.Kind, o.Data, nil
}

func (w *world) blob(value string) gitobj.ID {
	if value == "" {
		return gitobj.Zero
	}
	data := layout.Blob([]byte(value))
	id := gitobj.Hash(gitobj.KindBlob, data)
	w.objects[id] = treeedit.Object{Kind: gitobj.KindBlob, ID: id, Data: data}
	return id
}

// set changes main; "" deletes.
func (w *world) set(values map[string]string) {
	w.t.Helper()
	e := treeedit.New(w, w.main)
	for _, key := range slices.Sorted(maps.Keys(values)) {
		var err error
		if values[key] == "" {
			delete(w.values, key)
			err = e.Delete(w.t.Context(), key)
		} else {
			w.values[key] = values[key]
			err = e.Set(w.t.Context(), key, w.blob(values[key]))
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	root, err := e.Write(w.t.Context(), func(o treeedit.Object) error { w.objects[o.ID] = o; return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	w.main = root
}

// ask judges changes of a branch.
func (w *world) ask(branch string, values map[string]string) gate.Verdict {
	w.t.Helper()
	a := gate.Asked{Branch: branch, Main: w.main, Now: w.now, Waits: w.waits}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		a.Changes = append(a.Changes, gate.Change{Key: key, Old: w.blob(w.values[key]), New: w.blob(values[key])})
	}
	v, err := w.judge.Judge(w.t.Context(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// reason returns why one change is refused, "" if it is not.
func (w *world) reason(branch, key, value string) string {
	w.t.Helper()
	v := w.ask(branch, map[string]string{key: value})
	if len(v.Refusals) == 0 {
		return ""
	}
	return v.Refusals[0].Reason
}

const podKey = "/registry/pods/default/p"

func podJSON(node, account, status, more string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"default","uid":"u1"%s},"spec":{"nodeName":%q,"serviceAccountName":%q,"volumes":[{"name":"d","persistentVolumeClaim":{"claimName":"c"}}]},"status":{"phase":%q}}`, more, node, account, status)
}

func nodeJSON(name, status, more, spec string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Node","metadata":{"name":%q,"uid":"u-%s"%s},"spec":{%s},"status":{"phase":%q}}`, name, name, more, spec, status)
}

func clusterRole(name, rules string) string {
	return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":%q,"uid":"u-%s"},"rules":[%s]}`, name, name, rules)
}

func bindingJSON(kind, name, roleKind, role, subject string) string {
	namespace := ""
	if kind == "RoleBinding" {
		namespace = `"namespace":"default",`
	}
	return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":%q,"metadata":{%s"name":%q,"uid":"u-%s"},"roleRef":{"kind":%q,"name":%q},"subjects":[%s]}`, kind, namespace, name, name, roleKind, role, subject)
}

func rule(verbs, group, resources string) string {
	quote := func(s string) string { return `"` + strings.ReplaceAll(s, ",", `","`) + `"` }
	return fmt.Sprintf(`{"verbs":[%s],"apiGroups":[%q],"resources":[%s]}`, quote(verbs), group, quote(resources))
}

// cluster is a main with a node w1, a pod of an operator on it, and roles.
func cluster() map[string]string {
	const sa = `{"kind":"ServiceAccount","namespace":"default","name":"operator"}`
	return map[string]string{
		"/registry/minions/w1":                       nodeJSON("w1", "a", "", ""),
		"/registry/minions/w2":                       nodeJSON("w2", "a", "", ""),
		podKey:                                       podJSON("w1", "operator", "Pending", ""),
		"/registry/pods/default/unbound":             podJSON("", "admin", "Pending", ""),
		"/registry/pods/default/other":               podJSON("w2", "admin", "Running", ""),
		"/registry/pods/default/dying":               podJSON("w1", "operator", "Running", `,"deletionTimestamp":"2026-01-01T00:00:00Z"`),
		"/registry/configmaps/default/x":             `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"default","uid":"ux"},"data":{"a":"1"}}`,
		"/registry/persistentvolumeclaims/default/c": `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"c","namespace":"default","uid":"uc"},"status":{"phase":"Bound"}}`,
		"/registry/clusterroles/system:kube-scheduler": clusterRole("system:kube-scheduler",
			rule("create", "", "pods/binding")+","+rule("patch,update", "", "pods/status")+","+rule("delete,get,list,watch", "", "pods")),
		"/registry/clusterrolebindings/system:kube-scheduler": bindingJSON("ClusterRoleBinding", "system:kube-scheduler", "ClusterRole", "system:kube-scheduler", `{"kind":"User","name":"system:kube-scheduler"}`),
		"/registry/clusterroles/operator": clusterRole("operator", rule("create,update", "", "configmaps")+","+
			rule("create,update", "rbac.authorization.k8s.io", "roles,rolebindings")+","+rule("patch", "example.org", "widgets/status")+","+rule("create", "", "services")),
		"/registry/rolebindings/default/operator":                  bindingJSON("RoleBinding", "operator", "ClusterRole", "operator", sa),
		"/registry/clusterroles/admin":                             clusterRole("admin", rule("*", "*", "*")),
		"/registry/clusterrolebindings/admin":                      bindingJSON("ClusterRoleBinding", "admin", "ClusterRole", "admin", `{"kind":"ServiceAccount","namespace":"default","name":"admin"}`),
		"/registry/clusterroles/deployer":                          clusterRole("deployer", rule("update,patch", "apps", "deployments")),
		"/registry/clusterrolebindings/system:controller:deployer": bindingJSON("ClusterRoleBinding", "system:controller:deployer", "ClusterRole", "deployer", `{"kind":"ServiceAccount","namespace":"kube-system","name":"deployer"}`),
		"/registry/deployments/default/d":                          `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","namespace":"default","uid":"ud"},"spec":{"replicas":1}}`,
		"/registry/ranges/servicenodeports":                        `{"kind":"RangeAllocation","apiVersion":"v1","metadata":{},"data":"a"}`,
		"/registry/services/specs/default/s":                       `{"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"default","uid":"us"}}`,
	}
}
