// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package trishankuheaven keeps the workload of each TrishankuHeaven: its Service, certificates, configuration, volume
// and Deployment in the host cluster.
//
//	TrishankuHeaven, authorities, AutomatedMerge --gather--> what there is
//	  what there is --Service--> address --certificates--> Secret --workload--> ConfigMap, claim, Deployment
//	  Deployment, Pods --observe--> how far it is --judge--> conditions, status
//
// Laws:
//
//  1. A reconcile that has nothing to do writes nothing.
//  2. Phases gather facts; judge alone writes conditions. What was not seen is Unknown, not False.
//  3. A condition that is not good says why: which container, and its last words.
//  4. A heaven goes when its pod is gone: until then the pod hands in what was acknowledged.
package trishankuheaven

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven/apply"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=trishankuheavens,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=trishankuheavens/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=trishankuheavens/finalizers,verbs=update
// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=automatedmerges,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=configmaps;services;persistentvolumeclaims;secrets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=pods;nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// fieldOwner signs everything that this controller applies.
const fieldOwner client.FieldOwner = "trishankuheaven-controller"

// Reconciler reconciles TrishankuHeavens.
type Reconciler struct {
	Client client.Client
	// Recorder receives what people want to know.
	Recorder events.EventRecorder
	// Clock says when certificates are to be renewed.
	Clock clock.PassiveClock
	// WatchFilterValue is the value of the label cluster.x-k8s.io/watch-filter of what is reconciled. Empty: everything.
	WatchFilterValue string

	// live reads past the cache; set by SetupWithManager.
	live client.Reader
}

type phase = reconcile.Phase[*scope]

// Reconcile brings one TrishankuHeaven forward.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, reterr error) {
	heaven := &heavenv1.TrishankuHeaven{}
	if err := r.Client.Get(ctx, req.NamespacedName, heaven); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	cluster, err := util.GetClusterByName(ctx, r.Client, heaven.Namespace, heaven.Spec.ClusterName)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("read Cluster: %w", err)
	}
	helper, err := reconcile.Open(ctx, r.Client, cluster, heaven, heavenv1.HeavenFinalizer)
	if err != nil || helper == nil {
		return ctrl.Result{}, err
	}
	s := &scope{heaven: heaven, before: conditions.Get(heaven, heavenv1.HeavenAvailable).DeepCopy()}
	defer func() {
		judge(s)
		r.tell(s)
		patchErr := reconcile.Patch(ctx, helper, heaven, ownedConditions, true)
		reterr = errors.Join(reterr, patchErr)
	}()

	phases := []phase{r.gather, r.ensureService, r.ensureCertificates, r.ensureWorkload, r.observe}
	if !heaven.DeletionTimestamp.IsZero() {
		phases = []phase{r.gather, r.removeWorkload, r.removeFinalizer}
	}
	if s.failure = reconcile.Run(ctx, s, phases...); s.failure != nil {
		// What runs goes on running: whether it does is seen all the same.
		return ctrl.Result{}, errors.Join(s.failure, r.observe(ctx, s))
	}
	return ctrl.Result{RequeueAfter: r.next(s)}, nil
}

// next is when to look again although nothing happens: a certificate grows old. A day at most, since a clock can be set.
func (r *Reconciler) next(s *scope) time.Duration {
	if s.certificates == nil || s.certificates.NextRenewal.IsZero() {
		return 0
	}
	return min(max(s.certificates.NextRenewal.Sub(r.Clock.Now()), time.Minute), 24*time.Hour)
}

func (r *Reconciler) applier() apply.Applier {
	return apply.Applier{Client: r.Client, Owner: fieldOwner, Live: r.live}
}

// ownedConditions are written by judge.
var ownedConditions = []string{
	clusterv1.PausedCondition, heavenv1.HeavenAvailable, heavenv1.HeavenProgressing, heavenv1.HeavenCertificatesReady,
	heavenv1.HeavenSynced, heavenv1.HeavenDeleting,
}
