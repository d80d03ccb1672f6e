// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gitrepository says whether the durable home of a headless cluster's
// history can be used.
//
//	GitRepository ─► forge ─► Ready, url
//
// Without a forge there is nothing to make: the volume of the cluster's hub is
// the repository, and the controller of the AutomatedMerge makes and deletes it.
//
// # Laws
//
//	1 Unknown is not ready. A forge that this version does not know is a condition that says so, never a success.
//	2 Nothing made, nothing kept. A finalizer is set only for a forge, where something would be left behind.
package gitrepository

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/cluster-api/util/patch"
	"sigs.k8s.io/cluster-api/util/paused"
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=gitrepositories;gitrepositories/status;gitrepositories/finalizers,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;clusters/status,verbs=get;list;watch

// Reconciler reconciles GitRepositories.
type Reconciler struct {
	Client client.Client
	// WatchFilterValue is the value of the label cluster.x-k8s.io/watch-filter of what is reconciled. Empty: everything.
	WatchFilterValue string
}

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, o controller.Options) error {
	log := ctrl.LoggerFrom(ctx).WithValues("controller", "gitrepository")
	toRepositories, err := util.ClusterToTypedObjectsMapper(mgr.GetClient(), &heavenv1.GitRepositoryList{}, mgr.GetScheme())
	if err != nil {
		return fmt.Errorf("map Clusters to GitRepositories: %w", err)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		For(&heavenv1.GitRepository{}).
		WithOptions(o).
		WithEventFilter(predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, r.WatchFilterValue)).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(toRepositories)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up controller of GitRepositories: %w", err)
	}
	return nil
}

// Reconcile brings one GitRepository forward.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, reterr error) {
	repository := &heavenv1.GitRepository{}
	if err := r.Client.Get(ctx, req.NamespacedName, repository); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	cluster, err := util.GetClusterByName(ctx, r.Client, repository.Namespace, repository.Spec.ClusterName)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("read Cluster: %w", err)
	}
	isPaused, requeue, err := paused.EnsurePausedCondition(ctx, r.Client, cluster, repository)
	if err != nil || isPaused || requeue {
		return ctrl.Result{}, err
	}
	if !repository.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	helper, err := patch.NewHelper(repository, r.Client)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("prepare patch: %w", err)
	}
	defer func() {
		err := helper.Patch(ctx, repository,
			patch.WithOwnedConditions{Conditions: []string{heavenv1.RepositoryReady}}, patch.WithStatusObservedGeneration{})
		reterr = errors.Join(reterr, err)
	}()
	conditions.Set(repository, judge(repository))
	repository.Status.URL = ""
	if git := repository.Spec.Forge.Git; git != nil {
		repository.Status.URL = git.URL
	}
	return ctrl.Result{}, nil
}

// Reasons of the condition Ready.
const (
	// ReasonKeptByHub says that the volume of the cluster's hub is the repository.
	ReasonKeptByHub = "KeptByHub"

	// ReasonForgeGiven says that somebody made the repository at the forge, and that the hub mirrors to it.
	ReasonForgeGiven = "ForgeGiven"

	// ReasonForgeNotSupported says that this version knows no such forge.
	ReasonForgeNotSupported = "ForgeNotSupported"
)

// judge is the only writer of the condition.
//
//	forge     Ready  Reason
//	None, ""  True   KeptByHub
//	Git       True   ForgeGiven
//	other     False  ForgeNotSupported
func judge(repository *heavenv1.GitRepository) metav1.Condition {
	switch repository.Spec.Forge.Type {
	case heavenv1.ForgeNone, "":
		return metav1.Condition{
			Type: heavenv1.RepositoryReady, Status: metav1.ConditionTrue, Reason: ReasonKeptByHub,
			Message: "There is no forge: the volume of the cluster's hub keeps the history",
		}
	case heavenv1.ForgeGit:
		return metav1.Condition{
			Type: heavenv1.RepositoryReady, Status: metav1.ConditionTrue, Reason: ReasonForgeGiven,
			Message: "The cluster's hub mirrors to the forge; how far it is, the AutomatedMerge says",
		}
	default:
		return metav1.Condition{
			Type: heavenv1.RepositoryReady, Status: metav1.ConditionFalse, Reason: ReasonForgeNotSupported,
			Message: fmt.Sprintf("Forge %q is not supported by this version: use %s or %s", repository.Spec.Forge.Type, heavenv1.ForgeNone, heavenv1.ForgeGit),
		}
	}
}
