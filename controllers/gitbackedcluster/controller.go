// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedcluster

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=gitbackedclusters;gitbackedclusters/status;gitbackedclusters/finalizers,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=gitrepositories,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;clusters/status,verbs=get;list;watch
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch

// Reconciler reconciles GitBackedClusters.
type Reconciler struct {
	Client client.Client
	// WatchFilterValue is the value of the label cluster.x-k8s.io/watch-filter of what is reconciled. Empty: everything.
	WatchFilterValue string

	recorder events.EventRecorder
}

// scope is what one reconcile has seen.
type scope struct {
	infra *infrav1.GitBackedCluster
	// clusterName outlives the Cluster, which may be gone when the infrastructure goes.
	clusterName string

	// repository is set by ensureRepository or deleteRepository; nil when there is none.
	repository *heavenv1.GitRepository
	// foreign is set by ensureRepository when the repository belongs to another cluster.
	foreign bool
}

type phase = reconcile.Phase[*scope]

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, o controller.Options) error {
	r.recorder = mgr.GetEventRecorder("gitbackedcluster-controller")
	log := ctrl.LoggerFrom(ctx).WithValues("controller", "gitbackedcluster")
	toInfra := util.ClusterToInfrastructureMapFunc(ctx, infrav1.GroupVersion.WithKind("GitBackedCluster"), mgr.GetClient(), &infrav1.GitBackedCluster{})
	err := ctrl.NewControllerManagedBy(mgr).
		For(&infrav1.GitBackedCluster{}).
		WithOptions(o).
		WithEventFilter(predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, r.WatchFilterValue)).
		WithEventFilter(predicates.ResourceIsNotExternallyManaged(mgr.GetScheme(), log)).
		Owns(&heavenv1.GitRepository{}).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(toInfra)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up controller of GitBackedClusters: %w", err)
	}
	return nil
}

// Reconcile brings one GitBackedCluster forward.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, reterr error) {
	infra := &infrav1.GitBackedCluster{}
	if err := r.Client.Get(ctx, req.NamespacedName, infra); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	cluster, err := util.GetOwnerCluster(ctx, r.Client, infra.ObjectMeta)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("read Cluster: %w", err)
	}
	if cluster == nil && infra.DeletionTimestamp.IsZero() {
		ctrl.LoggerFrom(ctx).V(2).Info("Waiting for Cluster API to set the Cluster as owner")
		return ctrl.Result{}, nil
	}
	helper, err := reconcile.Open(ctx, r.Client, cluster, infra, infrav1.ClusterFinalizer)
	if err != nil || helper == nil {
		return ctrl.Result{}, err
	}
	s := &scope{infra: infra, clusterName: infra.Labels[clusterv1.ClusterNameLabel]}
	if cluster != nil {
		s.clusterName = cluster.Name
	}
	defer func() {
		judge(s)
		reterr = errors.Join(reterr, reconcile.Patch(ctx, helper, infra, owned, reterr == nil))
	}()
	phases := []phase{r.ensureRepository, r.provision}
	if !infra.DeletionTimestamp.IsZero() {
		phases = []phase{r.deleteRepository, r.release}
	}
	if err := reconcile.Run(ctx, s, phases...); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{}, nil
}
