// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"slices"
	"time"
)

// Defaults returns the gates that are shipped. The front door is for people
// and may do everything, and so may what comes from a forge.
func Defaults(frontDoor string) Set {
	return Set{
		{Name: "front-door", Branches: []string{frontDoor, "forge/*"}},
		{
			Name: "kube-controller-manager", Branches: []string{"heavens/kube-controller-manager"},
			Rules: append(controllers(), apiServer()...),
			Rates: deletions(20, 500),
		},
		{
			Name: "kube-scheduler", Branches: []string{"heavens/kube-scheduler"},
			Rules: append([]Rule{{Name: "scheduler", RBAC: &Subjects{Users: []string{"system:kube-scheduler"}}}}, apiServer()...),
			Rates: deletions(0, 100),
		},
		{
			Name: "machine-controller", Branches: []string{"heavens/machine-controller"},
			Rules: append(machineController(), apiServer()...),
			Rates: deletions(20, 500),
		},
		{
			Name: "nodes", Branches: []string{"nodes/*"},
			Rules: append(node(), apiServer()...),
			Rates: []Rate{{Name: "deletes", Limit: 100, Per: Duration(time.Minute)}},
		},
		{Name: "others", Branches: []string{"heavens/*"}, Rates: deletions(20, 500)},
	}
}

// deletions are the rates for what is hard to get back, and for pods.
func deletions(hard, pods int) []Rate {
	return []Rate{
		{
			Name: "hard-deletes", Limit: hard, Per: Duration(time.Minute),
			Keys: []string{
				"/registry/minions/*", "/registry/namespaces/*", "/registry/persistentvolumes/*", "/registry/persistentvolumeclaims/*/*",
				"/registry/apiextensions.k8s.io/customresourcedefinitions/*",
			},
		},
		{Name: "pod-deletes", Limit: pods, Per: Duration(time.Minute), Keys: []string{"/registry/pods/*/*"}},
	}
}

// apiServer is what the kube-apiserver of every heaven writes by itself.
func apiServer() []Rule {
	const definitions = "/registry/apiextensions.k8s.io/customresourcedefinitions/*"
	return []Rule{
		{
			Name: "served", Verbs: []Verb{Update}, Fields: []string{".status"},
			Keys: []string{
				"/registry/flowschemas/*", "/registry/prioritylevelconfigurations/*", "/registry/servicecidrs/*", definitions,
				"/registry/apiregistration.k8s.io/apiservices/*",
			},
		},
		{Name: "local-apis", Keys: []string{"/registry/apiregistration.k8s.io/apiservices/*"}, When: []string{"local-apis"}},
		{
			Name: "definition-cleanup", Keys: []string{definitions}, Verbs: []Verb{Update, Delete}, When: []string{"terminating"},
			Fields: []string{".metadata.finalizers[customresourcecleanup.apiextensions.k8s.io]"},
		},
		{Name: "instance-cleanup", Keys: []string{"/registry/*.*/**"}, Verbs: []Verb{Delete}, When: []string{"defunct"}},
		{Name: "addresses", Keys: []string{"/registry/ipaddresses/*"}, When: []string{"allocated"}},
	}
}

// controllers is what the controllers of Kubernetes may do: what RBAC gives
// each of them, but for the two that may change or delete everything.
func controllers() []Rule {
	return []Rule{
		{Name: "controllers", RBAC: &Subjects{
			Users:    []string{"system:kube-controller-manager"},
			Bindings: []string{"system:controller:*", "kube-*/system:controller:*"},
			ExceptBindings: []string{
				"system:controller:generic-garbage-collector", "system:controller:namespace-controller",
			},
		}},
		{Name: "garbage", Verbs: []Verb{Delete}},
		{Name: "freed-ports", Keys: []string{"/registry/ranges/*"}, Verbs: []Verb{Update}, Fields: []string{".data"}}, // of Services that go with a namespace
		{Name: "owners", Verbs: []Verb{Update}, Fields: []string{".metadata.ownerReferences", ".metadata.finalizers"}},
		{
			Name: "namespaces", Keys: []string{"/registry/namespaces/*"}, Verbs: []Verb{Update},
			Fields: []string{".status", ".spec.finalizers"},
		},
	}
}

// machineController is what gardener's machine-controller-manager does: its
// own objects, and draining and removing nodes.
func machineController() []Rule {
	return []Rule{
		{Name: "machines", Keys: []string{"/registry/machine.sapcloud.io/**"}},
		{
			Name: "nodes", Keys: []string{"/registry/minions/*"}, Verbs: []Verb{Update, Delete},
			Fields: []string{
				".metadata.labels", ".metadata.annotations", ".metadata.finalizers", ".spec.taints", ".spec.unschedulable",
				".spec.providerID", ".status.conditions",
			},
		},
		{Name: "drain", Keys: []string{"/registry/pods/*/*"}, Verbs: []Verb{Update, Delete}, Fields: []string{".status.conditions[DisruptionTarget]"}},
		{Name: "disruptions", Keys: []string{"/registry/poddisruptionbudgets/*/*"}, Verbs: []Verb{Update}, Fields: []string{".status"}},
		{Name: "detach", Keys: []string{"/registry/volumeattachments/*"}, Verbs: []Verb{Delete}},
		{Name: "leases", Keys: []string{"/registry/leases/*/machine-controller*"}},
		{Name: "secrets", Keys: []string{"/registry/secrets/*/*"}, Verbs: []Verb{Update}}, // finalizers; what else changes cannot be seen
		{Name: "granted", RBAC: &Subjects{Users: []string{"system:machine-controller", "headless:machine-controller"}}},
	}
}

// node is what a kubelet does, and what the pods of the node may do.
func node() []Rule {
	pods, update := []string{"/registry/pods/*/*"}, []Verb{Update}
	rules := []Rule{
		{
			Name: "own-node", Keys: []string{"/registry/minions/{name}"}, Verbs: []Verb{Create, Update}, When: []string{"own-labels", "sound"},
			Fields: []string{".status", ".metadata.labels", ".metadata.annotations", ".spec.providerID"},
		},
		{Name: "own-lease", Keys: []string{"/registry/leases/kube-node-lease/{name}"}, When: []string{"sound"}},
		{Name: "own-drivers", Keys: []string{"/registry/csinodes/{name}"}, When: []string{"sound"}},
		{Name: "own-devices", Keys: []string{"/registry/resourceslices/*"}, When: []string{"on-node", "sound"}},
		{Name: "pod-status", Keys: pods, Verbs: update, Fields: []string{".status"}, When: []string{"bound"}},
		{Name: "pod-end", Keys: pods, Verbs: []Verb{Delete}, When: []string{"bound", "terminating"}},
		{Name: "mirror-pods", Keys: pods, When: []string{"mirror", "sound"}},
		{Name: "claim-status", Keys: []string{"/registry/persistentvolumeclaims/*/*"}, Verbs: update, Fields: []string{".status"}, When: []string{"claimed"}},
		{Name: "requests", Keys: []string{"/registry/certificatesigningrequests/*"}, Verbs: []Verb{Create}, When: []string{"requested", "sound"}},
		{Name: "pod-certificates", Keys: []string{"/registry/podcertificaterequests/*/*"}, Verbs: []Verb{Create}, When: []string{"on-node", "sound"}},
		{Name: "granted", RBAC: &Subjects{
			Users: []string{"system:node:{name}", "system:kube-proxy"}, Groups: []string{"system:nodes"}, Pods: true,
		}},
	}
	return slices.Clip(rules)
}
