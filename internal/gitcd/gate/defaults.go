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

// machineController is what gardener's machine-controller-manager and its
// machine controllers do, whatever RBAC grants them beyond: their own objects,
// draining and removing nodes, and the Secrets that RBAC names. Values of
// Secrets cannot be seen, so that a finalizer taken from one looks as any change
// of it; but kube-system's are not theirs, except tokens by which machines join.
func machineController() []Rule {
	const own = "/registry/machine.sapcloud.io/"
	const classes, deployments = own + "machineclasses/*/*", own + "machinedeployments/*/*"
	users, update := []string{"headless:machine-controller", "system:machine-controller"}, []Verb{Update}
	return []Rule{
		{Name: "machines", Keys: []string{own + "machines/*/*", own + "machinesets/*/*"}},
		{Name: "deployments", Keys: []string{deployments}, Verbs: update},
		{
			Name: "classes", Keys: []string{classes}, Verbs: update,
			Fields: []string{".metadata.finalizers", ".nodeTemplate.capacity", ".nodeTemplate.virtualCapacity"}, // it writes 1000m as 1
		},
		{Name: "ends", Keys: []string{classes, deployments}, Verbs: []Verb{Delete}, When: []string{"terminating"}},
		{
			Name: "nodes", Keys: []string{"/registry/minions/*"}, Verbs: []Verb{Update, Delete},
			Fields: []string{
				".metadata.labels", ".metadata.annotations", ".metadata.finalizers", ".spec.taints", ".spec.unschedulable", ".status.capacity",
				".status.conditions[Terminating]", ".status.conditions[InPlaceUpdate]", ".status.conditions[Preserved]",
			},
		},
		{Name: "drain", Keys: []string{"/registry/pods/*/*"}, Verbs: []Verb{Update, Delete}, Fields: []string{".status.conditions[DisruptionTarget]"}},
		{Name: "disruptions", Keys: []string{"/registry/poddisruptionbudgets/*/*"}, Verbs: update, Fields: []string{".status"}},
		{Name: "detach", Keys: []string{"/registry/volumeattachments/*"}, Verbs: []Verb{Delete}},
		{Name: "leases", Keys: []string{"/registry/leases/*/machine-controller*"}, Verbs: []Verb{Create, Update}},
		{Name: "join-tokens", Keys: []string{"/registry/secrets/kube-system/bootstrap-token-*"}, Verbs: []Verb{Create, Delete}, RBAC: &Subjects{Users: users}},
		{
			Name: "secrets", Keys: []string{"/registry/secrets/*/*"}, Verbs: []Verb{Update, Delete},
			RBAC: &Subjects{Users: users, ExceptBindings: []string{"kube-system/*"}},
		},
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
