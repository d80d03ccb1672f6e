// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package headlesscontrolplane makes a control plane of each HeadlessControlPlane: the cluster's keys, its hub and its
// heavens, and what Cluster API wants to know of it.
//
//	Cluster, HeadlessControlPlane --gather--> what there is
//	  --Set--> what there shall be --Plan--> steps --apply--> AutomatedMerge, TrishankuHeavens
//	  front door's address --> controlPlaneEndpoint --> kubeconfig --> /readyz answers? --judge--> conditions, status
//
// Laws:
//
//  1. A reconcile that has nothing to do writes nothing.
//  2. Phases gather facts; judge alone writes conditions. What was not seen is Unknown, not False.
//  3. The hub and the heavens are not owned: clusterctl moves what is owned, and the source's garbage collector would
//     stop them within a second. They are found by label, and a finalizer cleans them up.
//  4. An object that clusterctl deletes because it has moved it is not taken down: it lives on elsewhere.
//  5. Initialized is never taken back.
package headlesscontrolplane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// +kubebuilder:rbac:groups=controlplane.cluster.x-k8s.io,resources=headlesscontrolplanes,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=controlplane.cluster.x-k8s.io,resources=headlesscontrolplanes/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=controlplane.cluster.x-k8s.io,resources=headlesscontrolplanes/finalizers,verbs=update
// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=trishankuheavens;automatedmerges,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;clusters/status,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// fieldOwner signs everything that this controller applies.
const fieldOwner client.FieldOwner = "headlesscontrolplane-controller"

const (
	// deleteForMove is put by clusterctl on an object that it deletes here because it has made it elsewhere.
	deleteForMove = "clusterctl.cluster.x-k8s.io/delete-for-move"

	// probeSoon is how often an API server that should answer is asked until it does.
	probeSoon = 2 * time.Second

	// probeLater is how often it is asked afterwards.
	probeLater = 30 * time.Second
)

// Reconciler reconciles HeadlessControlPlanes.
type Reconciler struct {
	Client client.Client
	// Recorder receives what people want to know.
	Recorder events.EventRecorder
	// Clock says when certificates are to be renewed.
	Clock clock.PassiveClock
	// Prober asks API servers whether they are ready.
	Prober Prober
	// WatchFilterValue is the value of the label cluster.x-k8s.io/watch-filter of what is reconciled. Empty: everything.
	WatchFilterValue string

	// live reads past the cache; set by SetupWithManager.
	live client.Reader
}

type phase = reconcile.Phase[*scope]

// Reconcile brings one HeadlessControlPlane forward.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, reterr error) {
	hcp := &controlplanev1.HeadlessControlPlane{}
	if err := r.Client.Get(ctx, req.NamespacedName, hcp); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if _, moved := hcp.Annotations[deleteForMove]; moved {
		return ctrl.Result{}, nil
	}
	cluster, err := util.GetOwnerCluster(ctx, r.Client, hcp.ObjectMeta)
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("read Cluster: %w", err)
	}
	if cluster == nil {
		ctrl.LoggerFrom(ctx).V(2).Info("Waiting for Cluster API to set the owner")
		return ctrl.Result{}, nil
	}
	helper, err := reconcile.Open(ctx, r.Client, cluster, hcp, controlplanev1.Finalizer)
	if err != nil || helper == nil {
		return ctrl.Result{}, err
	}
	s := &scope{
		cluster: cluster, hcp: hcp,
		before: conditions.Get(hcp, controlplanev1.ConditionAvailable).DeepCopy(), known: *hcp.Status.MergeFindings.DeepCopy(),
	}
	defer func() {
		judge(s)
		r.tell(s)
		r.recall(ctx, s)
		patchErr := reconcile.Patch(ctx, helper, hcp, ownedConditions, true)
		if patchErr == nil {
			// The status keeps what was told: what it has not kept would be told again.
			r.tellFindings(s)
		}
		reterr = errors.Join(reterr, patchErr)
	}()

	phases := []phase{
		r.gather, waitForInfrastructure, r.ensureKeys, r.set, r.plan, r.carryOut,
		ensureEndpoint, r.ensureKubeconfig, r.probe,
	}
	if !hcp.DeletionTimestamp.IsZero() {
		phases = []phase{r.gather, r.planDeletion, r.carryOut, removeFinalizer}
	}
	if s.failure = reconcile.Run(ctx, s, phases...); s.failure != nil {
		return ctrl.Result{}, s.failure
	}
	return ctrl.Result{RequeueAfter: next(s)}, nil
}

// next is when to ask the API server again; everything else comes with an event.
func next(s *scope) time.Duration {
	switch {
	case !s.probed:
		return 0
	case s.probeFailure != nil:
		return probeSoon
	default:
		return probeLater
	}
}

// ownedConditions are written by judge.
var ownedConditions = []string{
	clusterv1.PausedCondition, controlplanev1.ConditionAvailable, controlplanev1.ConditionCertificatesAvailable,
	controlplanev1.ConditionHubAvailable, controlplanev1.ConditionAPIServerHealthy, controlplanev1.ConditionControllerManagerHealthy,
	controlplanev1.ConditionSchedulerHealthy, controlplanev1.ConditionComponentsHealthy, controlplanev1.ConditionSynced,
	controlplanev1.ConditionConflictFree, controlplanev1.ConditionQuarantineEmpty, controlplanev1.ConditionForgeInStep,
	controlplanev1.ConditionRollingOut, controlplanev1.ConditionDeleting,
}
