// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
)

const (
	kcm       = "heavens/kube-controller-manager"
	scheduler = "heavens/kube-scheduler"
)

// want is one change and what the shipped gates say of it.
type want struct {
	does, branch, key, value string
	refused                  string // the reason; "" if it goes on
}

func judgeAll(t *testing.T, cases []want) {
	t.Helper()
	judgeIn(t, cluster(), cases)
}

func judgeIn(t *testing.T, main map[string]string, cases []want) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.does, func(t *testing.T) {
			w := newWorld(t, gate.Defaults(frontDoor), main)
			if got := w.reason(c.branch, c.key, c.value); got != c.refused {
				t.Errorf("refused because %q\nwant %q", got, c.refused)
			}
		})
	}
}

func TestNodes(t *testing.T) {
	t.Parallel()
	const w1 = "nodes/w1"
	mirror := func(node, account string) string {
		return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"m-w1","namespace":"kube-system","uid":"um","annotations":{"kubernetes.io/config.mirror":"x"},"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"w1","uid":"u-w1"}]},"spec":{"nodeName":"` + node + `","serviceAccountName":"` + account + `"}}`
	}
	csr := func(user string) string {
		return `{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"csr-1","uid":"u"},"spec":{"username":"` + user + `"}}`
	}
	judgeAll(t, []want{
		{"its own status", w1, "/registry/minions/w1", nodeJSON("w1", "b", "", ""), ""},
		{"its own labels", w1, "/registry/minions/w1", nodeJSON("w1", "a", `,"labels":{"topology.kubernetes.io/zone":"z"}`, ""), ""},
		{
			"a label that keeps pods away", w1, "/registry/minions/w1", nodeJSON("w1", "a", `,"labels":{"node-restriction.kubernetes.io/x":"z"}`, ""),
			"nodes/w1 may not change field .metadata.labels[node-restriction.kubernetes.io/x]: it has a label that is not the node's to set (gate nodes)",
		},
		{"its own taints", w1, "/registry/minions/w1", nodeJSON("w1", "a", "", `"taints":[]`), "nodes/w1 may not change field .spec.taints (gate nodes)"},
		{"another node's status", w1, "/registry/minions/w2", nodeJSON("w2", "b", "", ""), "nodes/w1 may not change field .status.phase (gate nodes)"},
		{"its own deletion", w1, "/registry/minions/w1", "", "nodes/w1 may not delete it (gate nodes)"},
		{"its lease", w1, "/registry/leases/kube-node-lease/w1", `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"w1","namespace":"kube-node-lease"}}`, ""},
		{"nonsense as its lease", w1, "/registry/leases/kube-node-lease/w1", `nonsense`, "nodes/w1 may not create it: it is no Kubernetes object in JSON (gate nodes)"},
		{
			"something else as its lease", w1, "/registry/leases/kube-node-lease/w1", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"w1","namespace":"kube-node-lease"}}`,
			"nodes/w1 may not create it: its value is not the object that the key is for (gate nodes)",
		},
		{"another's lease", w1, "/registry/leases/kube-node-lease/w2", `{}`, "nodes/w1 may not create it (gate nodes)"},
		{"its drivers", w1, "/registry/csinodes/w1", `{"apiVersion":"storage.k8s.io/v1","kind":"CSINode","metadata":{"name":"w1"}}`, ""},
		{"status of a pod bound to it", w1, podKey, podJSON("w1", "operator", "Running", ""), ""},
		{
			"status of a pod bound elsewhere", w1, "/registry/pods/default/other", podJSON("w2", "admin", "Failed", ""),
			"nodes/w1 may not change field .status.phase: it is no mirror pod of this node, or one that names accounts or volumes of the cluster; the pod is not bound to this node in main (gate nodes)",
		},
		{
			"account of a pod bound to it", w1, podKey, podJSON("w1", "admin", "Pending", ""),
			"nodes/w1 may not change field .spec.serviceAccountName: it is no mirror pod of this node, or one that names accounts or volumes of the cluster (gate nodes)",
		},
		{
			"binding a pod to itself", w1, "/registry/pods/default/unbound", podJSON("w1", "admin", "Pending", ""),
			"nodes/w1 may not change field .spec.nodeName: it is no mirror pod of this node, or one that names accounts or volumes of the cluster (gate nodes)",
		},
		{"the end of a pod", w1, "/registry/pods/default/dying", "", ""},
		{
			"the end of a pod elsewhere", "nodes/w3", "/registry/pods/default/dying", "",
			"nodes/w3 may not delete it: it is no mirror pod of this node, or one that names accounts or volumes of the cluster; the pod is not bound to this node in main (gate nodes)",
		},
		{
			"the end of a pod that nobody deleted", w1, podKey, "",
			"nodes/w1 may not delete it: it is no mirror pod of this node, or one that names accounts or volumes of the cluster; it is not being deleted in main (gate nodes)",
		},
		{"a mirror pod", w1, "/registry/pods/kube-system/m-w1", mirror("w1", ""), ""},
		{
			"a mirror pod with an account", w1, "/registry/pods/kube-system/m-w1", mirror("w1", "admin"),
			"nodes/w1 may not create it: it is no mirror pod of this node, or one that names accounts or volumes of the cluster (gate nodes)",
		},
		{
			"a mirror pod elsewhere", w1, "/registry/pods/kube-system/m-w1", mirror("w2", ""),
			"nodes/w1 may not create it: it is no mirror pod of this node, or one that names accounts or volumes of the cluster (gate nodes)",
		},
		{"a request of its own", w1, "/registry/certificatesigningrequests/csr-1", csr("system:node:w1"), ""},
		{
			"a request as somebody else", w1, "/registry/certificatesigningrequests/csr-1", csr("system:node:w2"),
			"nodes/w1 may not create it: it is not requested by this node, or answered already (gate nodes)",
		},
		{
			"status of a claim of its pod", w1, "/registry/persistentvolumeclaims/default/c",
			`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"c","namespace":"default","uid":"uc"},"status":{"phase":"Lost"}}`, "",
		},
		{
			"status of a claim of others", "nodes/w3", "/registry/persistentvolumeclaims/default/c",
			`{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"c","namespace":"default","uid":"uc"},"status":{"phase":"Lost"}}`,
			"nodes/w3 may not change field .status.phase: no pod that is bound to this node uses the claim (gate nodes)",
		},
		{"what is no object, below its own key", w1, "/registry/minions/w1", "k8s:enc:x", "nodes/w1 may not change its value (gate nodes)"},
		{"a role that binds all", w1, "/registry/clusterroles/admin", clusterRole("admin", ""), "nodes/w1 may not change field .rules (gate nodes)"},
		{"a secret of a pod's account, encrypted", "nodes/w2", "/registry/secrets/default/s", "k8s:enc:secretbox:v1:k:x", ""},
		{"a secret that nobody encrypted", "nodes/w2", "/registry/secrets/default/s", "x", "nodes/w2 may not create it (gate nodes)"},
		{"a foreign key", w1, "/elsewhere", "x", "nodes/w1 may not create it (gate nodes)"},
		{"a side branch is the node's", w1, "/registry/ranges/serviceips", "x", "nodes/w1 may not create it (gate nodes)"},
	})
}

func TestServiceAccountsOfANode(t *testing.T) {
	t.Parallel()
	config := func(ns, data string) string {
		return `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"` + ns + `","uid":"ux"},"data":{"a":"` + data + `"}}`
	}
	widget := func(spec, status string) string {
		return `{"apiVersion":"example.org/v1","kind":"Widget","metadata":{"name":"w","uid":"uw"},"spec":"` + spec + `","status":"` + status + `"}`
	}
	role := func(rules string) string {
		return `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"r","namespace":"default","uid":"ur"},"rules":[` + rules + `]}`
	}
	judgeAll(t, []want{
		{"updates what it may", "nodes/w1", "/registry/configmaps/default/x", config("default", "2"), ""},
		{"not in another namespace", "nodes/w1", "/registry/configmaps/kube-system/x", config("kube-system", "2"), "nodes/w1 may not create it (gate nodes)"},
		{"not from a node without such a pod", "nodes/w3", "/registry/configmaps/default/x", config("default", "2"), "nodes/w3 may not change field .data.a (gate nodes)"},
		{"not what it may not", "nodes/w1", "/registry/configmaps/default/x", "", "nodes/w1 may not delete it (gate nodes)"},
		{"an admin's pod may all", "nodes/w2", "/registry/configmaps/kube-system/x", config("kube-system", "2"), ""},
		{
			"no object of another group under a key", "nodes/w1", "/registry/configmaps/default/x", `{"apiVersion":"x/v1","metadata":{"uid":"ux"}}`,
			"nodes/w1 may not change field .apiVersion, field .data.a, field .kind, 2 more (gate nodes)",
		},
		{"a custom resource's status only", "nodes/w1", "/registry/example.org/widgets/default/w", widget("a", "b"), "nodes/w1 may not create it (gate nodes)"},
		{"a role with what it has", "nodes/w1", "/registry/roles/default/r", role(rule("create", "", "configmaps")), ""},
		{"no role with more than it has", "nodes/w1", "/registry/roles/default/r", role(rule("delete", "", "configmaps")), "nodes/w1 may not create it (gate nodes)"},
		{"no role with everything", "nodes/w1", "/registry/roles/default/r", role(rule("*", "*", "*")), "nodes/w1 may not create it (gate nodes)"},
		{"no binding to more than it has", "nodes/w1", "/registry/rolebindings/default/b", bindingJSON("RoleBinding", "b", "ClusterRole", "admin", ""), "nodes/w1 may not create it (gate nodes)"},
		{"a binding to what it has", "nodes/w1", "/registry/rolebindings/default/b", bindingJSON("RoleBinding", "b", "ClusterRole", "operator", ""), ""},
		{
			"the address of a service it may make", "nodes/w1", "/registry/ipaddresses/10.0.0.9",
			`{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{"name":"10.0.0.9","uid":"ui"},"spec":{"parentRef":{"resource":"services","namespace":"default","name":"new"}}}`, "",
		},
	})
}

func TestComponents(t *testing.T) {
	t.Parallel()
	judgeAll(t, []want{
		{"the scheduler binds", scheduler, "/registry/pods/default/unbound", podJSON("w1", "admin", "Pending", ""), ""},
		{"the scheduler binds once", scheduler, podKey, podJSON("w2", "operator", "Pending", ""), "heavens/kube-scheduler may not change field .spec.nodeName (gate kube-scheduler)"},
		{
			"the scheduler changes no image", scheduler, "/registry/pods/default/unbound",
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"default","uid":"u1"},"spec":{"nodeName":"w1","serviceAccountName":"root","volumes":[{"name":"d","persistentVolumeClaim":{"claimName":"c"}}]},"status":{"phase":"Pending"}}`,
			"heavens/kube-scheduler may not change field .spec.serviceAccountName (gate kube-scheduler)",
		},
		{"the scheduler preempts", scheduler, podKey, podJSON("w1", "operator", "Pending", `,"deletionTimestamp":"2026-01-01T00:00:00Z","deletionGracePeriodSeconds":30`), ""},
		{"the scheduler deletes no node", scheduler, "/registry/minions/w1", "", "heavens/kube-scheduler may not delete it (gate kube-scheduler)"},
		{"a controller with its role", kcm, "/registry/deployments/default/d", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d","namespace":"default","uid":"ud"},"spec":{"replicas":2}}`, ""},
		{
			"no controller changes a config map", kcm, "/registry/configmaps/default/x", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"default","uid":"ux"},"data":{"a":"2"}}`,
			"heavens/kube-controller-manager may not change field .data.a (gate kube-controller-manager)",
		},
		{"node ports are freed with their Services", kcm, "/registry/ranges/servicenodeports", `{"kind":"RangeAllocation","apiVersion":"v1","metadata":{},"data":"b"}`, ""},
		{"a pod that may change all Services takes node ports", "nodes/w2", "/registry/ranges/servicenodeports", `{"kind":"RangeAllocation","apiVersion":"v1","metadata":{},"data":"b"}`, ""},
		{"a pod that may create some does not", "nodes/w1", "/registry/ranges/servicenodeports", `{"kind":"RangeAllocation","apiVersion":"v1","metadata":{},"data":"b"}`, "nodes/w1 may not change field .data (gate nodes)"},
		{
			"the scheduler frees no node ports", scheduler, "/registry/ranges/servicenodeports", `{"kind":"RangeAllocation","apiVersion":"v1","metadata":{},"data":"b"}`,
			"heavens/kube-scheduler may not change field .data (gate kube-scheduler)",
		},
		{"garbage is collected", kcm, "/registry/configmaps/default/x", "", ""},
		{
			"a new uid is a deletion and a creation", kcm, "/registry/configmaps/default/x", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"default","uid":"uy"}}`,
			"heavens/kube-controller-manager may not create it (gate kube-controller-manager)",
		},
		{"no component gives itself a role", kcm, "/registry/clusterrolebindings/own", bindingJSON("ClusterRoleBinding", "own", "ClusterRole", "admin", ""), "heavens/kube-controller-manager may not create it (gate kube-controller-manager)"},
		{
			"every API server tells what it serves", scheduler, "/registry/apiregistration.k8s.io/apiservices/v1.example.org",
			`{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.example.org","uid":"u"},"spec":{"group":"example.org"}}`, "",
		},
		{
			"no component sends an API elsewhere", scheduler, "/registry/apiregistration.k8s.io/apiservices/v1.example.org",
			`{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.example.org","uid":"u"},"spec":{"group":"example.org","service":{"name":"evil"}}}`,
			"heavens/kube-scheduler may not create it: the APIService leads to a Service (gate kube-scheduler)",
		},
		{"people may everything", frontDoor, "/registry/clusterrolebindings/own", bindingJSON("ClusterRoleBinding", "own", "ClusterRole", "admin", ""), ""},
		{"others may everything", "heavens/my-operator", "/registry/clusterrolebindings/own", bindingJSON("ClusterRoleBinding", "own", "ClusterRole", "admin", ""), ""},
	})
}

// What the real programs need is seen in test/headless; this is what they must not do, and what is seldom.
func TestMachineController(t *testing.T) {
	t.Parallel()
	const (
		mc, own, secrets = "heavens/machine-controller", "/registry/machine.sapcloud.io/", "/registry/secrets/"
		user             = `{"kind":"User","name":"headless:machine-controller"}`
		dying            = `,"deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["x"]`
		sealed           = "k8s:enc:secretbox:v1:k:"
	)
	object := func(kind, more, rest string) string {
		return fmt.Sprintf(`{"apiVersion":"machine.sapcloud.io/v1alpha1","kind":%q,"metadata":{"name":"a","namespace":"machines","uid":"u"%s}%s}`, kind, more, rest)
	}
	node := func(status string) string {
		return `{"apiVersion":"v1","kind":"Node","metadata":{"name":"w3","uid":"u-w3"},"status":` + status + `}`
	}
	main := cluster()
	maps.Copy(main, map[string]string{
		"/registry/roles/machines/machine-controller":           clusterRole("machine-controller", rule("get,update", "", "secrets")),
		"/registry/rolebindings/machines/machine-controller":    bindingJSON("RoleBinding", "machine-controller", "Role", "machine-controller", user),
		"/registry/roles/kube-system/machine-controller":        clusterRole("machine-controller", rule("get,create,delete", "", "secrets")),
		"/registry/rolebindings/kube-system/machine-controller": bindingJSON("RoleBinding", "machine-controller", "Role", "machine-controller", user),
		own + "machineclasses/machines/a":                       object("MachineClass", "", `,"nodeTemplate":{"capacity":{"cpu":"1000m"},"region":"r"}`),
		own + "machineclasses/machines/dying":                   object("MachineClass", dying, ""),
		own + "machinedeployments/machines/a":                   object("MachineDeployment", "", `,"spec":{"replicas":1}`),
		own + "machinedeployments/machines/dying":               object("MachineDeployment", dying, ""),
		own + "machines/machines/a":                             object("Machine", "", ""),
		secrets + "machines/a":                                  sealed + "a",
		secrets + "default/a":                                   sealed + "a",
		secrets + "kube-system/a":                               sealed + "a",
		secrets + "kube-system/bootstrap-token-1":               sealed + "a",
		"/registry/minions/w3":                                  node(`{"capacity":{"cpu":"1"},"conditions":[{"type":"Ready","status":"True"}]}`),
	})
	const toDelete, toCreate = "heavens/machine-controller may not delete it (gate machine-controller)", "heavens/machine-controller may not create it (gate machine-controller)"
	judgeIn(t, main, []want{
		{"its machines", mc, own + "machines/machines/b", object("Machine", "", ""), ""},
		{"the end of a machine", mc, own + "machines/machines/a", "", ""},
		{"a deployment's annotations", mc, own + "machinedeployments/machines/a", object("MachineDeployment", `,"annotations":{"a":"b"}`, `,"spec":{"replicas":1}`), ""},
		{"no new deployment", mc, own + "machinedeployments/machines/b", object("MachineDeployment", "", ""), "heavens/machine-controller may not create this key: no rule of gate machine-controller is for it"},
		{"no end of a deployment that nobody deleted", mc, own + "machinedeployments/machines/a", "", "heavens/machine-controller may not delete it: it is not being deleted in main; its CustomResourceDefinition is not being deleted in main (gate machine-controller)"},
		{"the end of a deployment", mc, own + "machinedeployments/machines/dying", "", ""},
		{"a class's finalizer and its numbers", mc, own + "machineclasses/machines/a", object("MachineClass", `,"finalizers":["x"]`, `,"nodeTemplate":{"capacity":{"cpu":"1"},"region":"r"}`), ""},
		{
			"not what a class is", mc, own + "machineclasses/machines/a", object("MachineClass", "", `,"nodeTemplate":{"capacity":{"cpu":"1"},"region":"r"},"secretRef":{"name":"other"}`),
			"heavens/machine-controller may not change field .secretRef.name (gate machine-controller)",
		},
		{"the end of a class", mc, own + "machineclasses/machines/dying", "", ""},
		{"a node's own condition and capacity", mc, "/registry/minions/w3", node(`{"capacity":{"cpu":"1","seats":"3"},"conditions":[{"type":"Ready","status":"True"},{"type":"Terminating","status":"True"}]}`), ""},
		{
			"not that a node is ready", mc, "/registry/minions/w3", node(`{"capacity":{"cpu":"1"},"conditions":[{"type":"Ready","status":"False"}]}`),
			"heavens/machine-controller may not change field .status.conditions.Ready.status (gate machine-controller)",
		},
		{"the end of a node", mc, "/registry/minions/w3", "", ""},
		{"no new node", mc, "/registry/minions/w4", node(`{}`), "heavens/machine-controller may not create this key: no rule of gate machine-controller is for it"},
		{"eviction", mc, podKey, podJSON("w1", "operator", "Pending", `,"deletionTimestamp":"2026-01-01T00:00:00Z","deletionGracePeriodSeconds":30`), ""},
		{"no binding", mc, "/registry/pods/default/unbound", podJSON("w1", "admin", "Pending", ""), "heavens/machine-controller may not change field .spec.nodeName (gate machine-controller)"},
		{"a finalizer of a secret", mc, secrets + "machines/a", sealed + "b", ""},
		{"no secret that nobody encrypted", mc, secrets + "machines/a", "b", "heavens/machine-controller may not change its value (gate machine-controller)"},
		{"the last finalizer of a secret", mc, secrets + "machines/a", "", ""},
		{"no secret of its own", mc, secrets + "machines/b", sealed + "b", "heavens/machine-controller may not create this key: no rule of gate machine-controller is for it"},
		{"no secret elsewhere", mc, secrets + "default/a", sealed + "b", "heavens/machine-controller may not change its value (gate machine-controller)"},
		{"no end of a secret elsewhere", mc, secrets + "default/a", "", toDelete},
		{"a join token", mc, secrets + "kube-system/bootstrap-token-2", sealed + "b", ""},
		{"the end of a join token", mc, secrets + "kube-system/bootstrap-token-1", "", ""},
		{"no join token that nobody encrypted", mc, secrets + "kube-system/bootstrap-token-2", "b", toCreate},
		{"no end of another secret of kube-system, though its Role would have it", mc, secrets + "kube-system/a", "", toDelete},
		{"its lease", mc, "/registry/leases/machines/machine-controller-manager", "x", ""},
	})
	without := cluster()
	without[secrets+"kube-system/bootstrap-token-1"] = sealed + "a"
	judgeIn(t, without, []want{
		{"without a Role no join token", mc, secrets + "kube-system/bootstrap-token-2", sealed + "b", toCreate},
		{"without a Role no end of one", mc, secrets + "kube-system/bootstrap-token-1", "", toDelete},
	})
}
