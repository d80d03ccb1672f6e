// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package automatedmerge keeps the hub of each AutomatedMerge: its Service, certificates, configuration, volume and
// Deployment in the host cluster; and it asks the hub what it has merged.
//
//	AutomatedMerge, authority, GitRepository, heavens --gather--> what there is
//	  what there is --Service--> addresses --certificates--> Secret --workload--> ConfigMap, claim, Deployment
//	  Deployment, Pods --observe--> how far it is --ask the hub--> main, branches --judge--> conditions, status
//
// Laws:
//
//  1. A reconcile that has nothing to do writes nothing.
//  2. Phases gather facts; judge alone writes conditions. What was not seen is Unknown, not False: a hub that does not
//     answer leaves what it said last in the status.
//  3. Without a forge the hub's volume is the history: it goes with the AutomatedMerge only if the GitRepository's
//     deletion policy says so.
//  4. A hub goes when its pod is gone.
//  5. Each conflict, and each change in quarantine, is told of in one Event at most, and many of them in one together.
package automatedmerge

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
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven/apply"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=automatedmerges,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=automatedmerges/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=automatedmerges/finalizers,verbs=update
// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=gitrepositories;trishankuheavens,verbs=get;list;watch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=configmaps;services;persistentvolumeclaims;secrets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=pods;nodes,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// fieldOwner signs everything that this controller applies.
const fieldOwner client.FieldOwner = "automatedmerge-controller"

const (
	// askSoon is how often a hub is asked until main exists: everybody waits for it.
	askSoon = time.Second

	// askLater is how often it is asked afterwards.
	askLater = 20 * time.Second
)

// Reconciler reconciles AutomatedMerges.
type Reconciler struct {
	Client client.Client
	// Recorder receives what people want to know.
	Recorder events.EventRecorder
	// Clock says when certificates are to be renewed.
	Clock clock.PassiveClock
	// Hubs asks hubs how they are.
	Hubs HubReader
	// WatchFilterValue is the value of the label cluster.x-k8s.io/watch-filter of what is reconciled. Empty: everything.
	WatchFilterValue string

	// live reads past the cache; set by SetupWithManager.
	live client.Reader
	// gauges show what hubs said; set by SetupWithManager.
	gauges *gauges
}

type phase = reconcile.Phase[*scope]

// Reconcile brings one AutomatedMerge forward.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, reterr error) {
	merge := &heavenv1.AutomatedMerge{}
	if err := r.Client.Get(ctx, req.NamespacedName, merge); err != nil {
		if apierrors.IsNotFound(err) {
			r.gauges.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	cluster, err := util.GetClusterByName(ctx, r.Client, merge.Namespace, merge.Spec.ClusterName)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("read Cluster: %w", err)
	}
	helper, err := reconcile.Open(ctx, r.Client, cluster, merge, heavenv1.MergeFinalizer)
	if err != nil || helper == nil {
		return ctrl.Result{}, err
	}
	s := &scope{
		merge: merge, now: r.Clock.Now(),
		before: conditions.Get(merge, heavenv1.MergeAvailable).DeepCopy(), forgeBefore: conditions.Get(merge, heavenv1.MergeForgeInStep).DeepCopy(),
		told: *merge.Status.MergeFindings.DeepCopy(),
	}
	defer func() {
		judge(s)
		r.gauges.see(req.NamespacedName, &merge.Status.MergeFindings)
		r.tell(s)
		patchErr := reconcile.Patch(ctx, helper, merge, ownedConditions, true)
		if patchErr == nil {
			// The status keeps what was told: what it has not kept would be told again.
			r.tellFindings(s)
		}
		reterr = errors.Join(reterr, patchErr)
	}()

	phases := []phase{r.gather, r.ensureService, r.ensureCertificates, r.ensureWorkload, r.observe, r.askHub}
	if !merge.DeletionTimestamp.IsZero() {
		phases = []phase{r.gather, r.removeWorkload, r.removeFinalizer}
	}
	if s.failure = reconcile.Run(ctx, s, phases...); s.failure != nil {
		// What runs goes on running: whether it does is seen all the same.
		return ctrl.Result{}, errors.Join(s.failure, r.observe(ctx, s))
	}
	return ctrl.Result{RequeueAfter: next(s)}, nil
}

// next is when to ask the hub again. Until its pod is ready, the pod's changes bring us back.
func next(s *scope) time.Duration {
	switch {
	case s.forgeMissing != "":
		return askLater // nobody tells us of Secrets that are not the cluster's
	case s.seen == nil || s.seen.Stage != heaven.StageReady:
		return 0
	case s.hub == nil || s.hub.Main == "":
		return askSoon
	default:
		return askLater
	}
}

func (r *Reconciler) applier() apply.Applier {
	return apply.Applier{Client: r.Client, Owner: fieldOwner, Live: r.live}
}

// ownedConditions are written by judge.
var ownedConditions = []string{
	clusterv1.PausedCondition, heavenv1.MergeAvailable, heavenv1.MergeEndpointReady, heavenv1.MergeMainReady,
	heavenv1.MergeConflictFree, heavenv1.MergeQuarantineEmpty, heavenv1.MergeForgeInStep, heavenv1.MergeDeleting,
}
