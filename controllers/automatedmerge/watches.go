// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/cluster-api/util/labels/format"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, o controller.Options) error {
	r.live, r.gauges = mgr.GetAPIReader(), newGauges(r.Clock)
	if err := metrics.Registry.Register(r.gauges); err != nil && !errors.As(err, &prometheus.AlreadyRegisteredError{}) {
		return fmt.Errorf("register metrics of AutomatedMerges: %w", err)
	}
	log := ctrl.LoggerFrom(ctx).WithValues("controller", "automatedmerge")
	byCluster := handler.EnqueueRequestsFromMapFunc(r.mergesOfCluster)
	err := ctrl.NewControllerManagedBy(mgr).
		For(&heavenv1.AutomatedMerge{}, builder.WithPredicates(
			predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, r.WatchFilterValue), notOurReport())).
		WithOptions(o).
		Owns(&appsv1.Deployment{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.Secret{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.PersistentVolumeClaim{}).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.mergeOfPod), builder.WithPredicates(hasLabel(heavenv1.MergeLabel))).
		Watches(&corev1.Secret{}, byCluster, builder.WithPredicates(hasLabel(clusterv1.ClusterNameLabel), withoutLabel(heavenv1.ComponentLabel))).
		Watches(&heavenv1.GitRepository{}, byCluster, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&heavenv1.TrishankuHeaven{}, byCluster, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&clusterv1.Cluster{}, byCluster, builder.WithPredicates(predicates.ClusterPausedTransitions(mgr.GetScheme(), log))).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up controller of AutomatedMerges: %w", err)
	}
	return nil
}

// notOurReport leaves out what we have just written down ourselves: a hub always has news, and so would be asked again
// at once, for ever.
func notOurReport() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*heavenv1.AutomatedMerge)
		after, fine := e.ObjectNew.(*heavenv1.AutomatedMerge)
		if !ok || !fine {
			return true
		}
		before, after = before.DeepCopy(), after.DeepCopy()
		for _, m := range []*heavenv1.AutomatedMerge{before, after} {
			// Only that it is paused, or no longer, is for us to act on.
			var paused []metav1.Condition
			if c := conditions.Get(m, clusterv1.PausedCondition); c != nil {
				paused = append(paused, *c)
			}
			m.Status = heavenv1.AutomatedMergeStatus{Conditions: paused}
			m.ResourceVersion, m.ManagedFields = "", nil
		}
		return !equality.Semantic.DeepEqual(before, after)
	}}
}

func hasLabel(key string) predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetLabels()[key] != "" })
}

// withoutLabel leaves out leaf certificates: only decisive Secrets have no component.
func withoutLabel(key string) predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetLabels()[key] == "" })
}

// mergesOfCluster maps what concerns a whole cluster.
func (r *Reconciler) mergesOfCluster(ctx context.Context, o client.Object) []ctrl.Request {
	cluster := o.GetLabels()[clusterv1.ClusterNameLabel]
	switch o := o.(type) {
	case *clusterv1.Cluster:
		cluster = o.Name
	case *heavenv1.GitRepository:
		cluster = o.Spec.ClusterName
	case *heavenv1.TrishankuHeaven:
		cluster = o.Spec.ClusterName
	}
	return r.merges(ctx, o.GetNamespace(), func(m *heavenv1.AutomatedMerge) bool { return m.Spec.ClusterName == cluster })
}

// mergeOfPod goes by label: a pod's owner is a ReplicaSet.
func (r *Reconciler) mergeOfPod(ctx context.Context, o client.Object) []ctrl.Request {
	label := o.GetLabels()[heavenv1.MergeLabel]
	return r.merges(ctx, o.GetNamespace(), func(m *heavenv1.AutomatedMerge) bool { return format.MustEqualValue(m.Name, label) })
}

func (r *Reconciler) merges(ctx context.Context, namespace string, match func(*heavenv1.AutomatedMerge) bool) []ctrl.Request {
	list := &heavenv1.AutomatedMergeList{}
	if err := r.Client.List(ctx, list, client.InNamespace(namespace)); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot list AutomatedMerges, so a change is not handed on", "namespace", namespace)
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
