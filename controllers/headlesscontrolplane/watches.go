// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/labels/format"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, o controller.Options) error {
	r.live = mgr.GetAPIReader()
	log := ctrl.LoggerFrom(ctx).WithValues("controller", "headlesscontrolplane")
	byLabel := handler.EnqueueRequestsFromMapFunc(r.byLabel)
	err := ctrl.NewControllerManagedBy(mgr).
		For(&controlplanev1.HeadlessControlPlane{}, builder.WithPredicates(predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, r.WatchFilterValue))).
		WithOptions(o).
		Owns(&corev1.Secret{}).
		Watches(&heavenv1.TrishankuHeaven{}, byLabel).
		Watches(&heavenv1.AutomatedMerge{}, byLabel).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(byReference),
			builder.WithPredicates(predicates.Any(mgr.GetScheme(), log,
				predicates.ClusterPausedTransitionsOrInfrastructureProvisioned(mgr.GetScheme(), log), networkChanged()))).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up controller of HeadlessControlPlanes: %w", err)
	}
	return nil
}

// byLabel maps a hub or heaven to the control plane that made it.
func (r *Reconciler) byLabel(ctx context.Context, o client.Object) []ctrl.Request {
	label := o.GetLabels()[heavenv1.ControlPlaneLabel]
	if label == "" {
		return nil
	}
	list := &controlplanev1.HeadlessControlPlaneList{}
	if err := r.Client.List(ctx, list, client.InNamespace(o.GetNamespace())); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list HeadlessControlPlanes, so a change is not handed on", "namespace", o.GetNamespace())
		return nil
	}
	var requests []ctrl.Request
	for i := range list.Items {
		if format.MustEqualValue(list.Items[i].Name, label) {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}

// byReference maps a Cluster to its control plane, if that is one of ours.
func byReference(_ context.Context, o client.Object) []ctrl.Request {
	cluster, ok := o.(*clusterv1.Cluster)
	if !ok {
		return nil
	}
	ref := cluster.Spec.ControlPlaneRef
	if ref.APIGroup != controlplanev1.GroupVersion.Group || ref.Kind != "HeadlessControlPlane" {
		return nil
	}
	return []ctrl.Request{{NamespacedName: client.ObjectKey{Namespace: cluster.Namespace, Name: ref.Name}}}
}
