// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package trishankuheaven

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/labels/format"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, o controller.Options) error {
	r.live = mgr.GetAPIReader()
	log := ctrl.LoggerFrom(ctx).WithValues("controller", "trishankuheaven")
	byCluster := handler.EnqueueRequestsFromMapFunc(r.heavensOfCluster)
	err := ctrl.NewControllerManagedBy(mgr).
		For(&heavenv1.TrishankuHeaven{}, builder.WithPredicates(predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, r.WatchFilterValue))).
		WithOptions(o).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.Secret{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.PersistentVolumeClaim{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.heavenOfPod), builder.WithPredicates(hasLabel(heavenv1.HeavenLabel))).
		Watches(&corev1.Secret{}, byCluster, builder.WithPredicates(hasLabel(clusterv1.ClusterNameLabel), notOwnedByHeaven())).
		Watches(&heavenv1.AutomatedMerge{}, byCluster).
		Watches(&clusterv1.Cluster{}, byCluster, builder.WithPredicates(predicates.ClusterPausedTransitions(mgr.GetScheme(), log))).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up controller of TrishankuHeavens: %w", err)
	}
	return nil
}

func hasLabel(key string) predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetLabels()[key] != "" })
}

// notOwnedByHeaven leaves out what Owns reports already.
func notOwnedByHeaven() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetLabels()[heavenv1.HeavenLabel] == "" })
}

// heavensOfCluster maps what concerns a whole cluster.
func (r *Reconciler) heavensOfCluster(ctx context.Context, o client.Object) []ctrl.Request {
	cluster := o.GetLabels()[clusterv1.ClusterNameLabel]
	if _, ok := o.(*clusterv1.Cluster); ok {
		cluster = o.GetName()
	}
	return r.heavens(ctx, o.GetNamespace(), func(h *heavenv1.TrishankuHeaven) bool { return h.Spec.ClusterName == cluster })
}

// heavenOfPod goes by label: a pod's owner is a ReplicaSet.
func (r *Reconciler) heavenOfPod(ctx context.Context, o client.Object) []ctrl.Request {
	label := o.GetLabels()[heavenv1.HeavenLabel]
	return r.heavens(ctx, o.GetNamespace(), func(h *heavenv1.TrishankuHeaven) bool { return format.MustEqualValue(h.Name, label) })
}

func (r *Reconciler) heavens(ctx context.Context, namespace string, match func(*heavenv1.TrishankuHeaven) bool) []ctrl.Request {
	list := &heavenv1.TrishankuHeavenList{}
	if err := r.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list TrishankuHeavens, so a change is not handed on", "namespace", namespace)
		return nil
	}
	var requests []ctrl.Request
	for i := range list.Items {
		if match(&list.Items[i]) {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return requests
}
