// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	"k8s.io/apimachinery/pkg/api/equality"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// networkChanged passes changes of what a control plane takes from its Cluster.
func networkChanged() predicate.Funcs {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		DeleteFunc:  func(event.DeleteEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok := e.ObjectOld.(*clusterv1.Cluster)
			after, fine := e.ObjectNew.(*clusterv1.Cluster)
			return ok && fine && (!equality.Semantic.DeepEqual(before.Spec.ClusterNetwork, after.Spec.ClusterNetwork) ||
				before.Spec.ControlPlaneEndpoint != after.Spec.ControlPlaneEndpoint)
		},
	}
}
