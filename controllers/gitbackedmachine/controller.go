// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedmachine

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
	"sigs.k8s.io/cluster-api/util/predicates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=gitbackedmachines;gitbackedmachines/status;gitbackedmachines/finalizers,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;clusters/status;machines;machines/status,verbs=get;list;watch
// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=automatedmerges,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch

// Reconciler reconciles GitBackedMachines.
type Reconciler struct {
	Client client.Client
	// WatchFilterValue is the value of the label cluster.x-k8s.io/watch-filter of what is reconciled. Empty: everything.
	WatchFilterValue string
	// Dial leads into headless clusters. Nil: DialCluster.
	Dial Dial
	// Clock says how long ago a machine joined. Nil: the real one.
	Clock clock.PassiveClock

	recorder events.EventRecorder
}

// scope is what one reconcile has seen.
type scope struct {
	infra *infrav1.GitBackedMachine
	// machine and cluster may be nil when the object is being deleted, and only then or for a moment.
	machine *clusterv1.Machine
	cluster *clusterv1.Cluster

	// hub is where the machine has to reach, host:port; set by gatherHub, empty while it is not known.
	hub string
	// again is when to look at the Node again; set by gatherNode, zero while there is none.
	again time.Duration
}

type phase = reconcile.Phase[*scope]

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, o controller.Options) error {
	r.recorder = mgr.GetEventRecorder("gitbackedmachine-controller")
	if r.Dial == nil {
		r.Dial = DialCluster
	}
	if r.Clock == nil {
		r.Clock = clock.RealClock{}
	}
	log := ctrl.LoggerFrom(ctx).WithValues("controller", "gitbackedmachine")
	toMachines, err := util.ClusterToTypedObjectsMapper(mgr.GetClient(), &infrav1.GitBackedMachineList{}, mgr.GetScheme())
	if err != nil {
		return fmt.Errorf("map Clusters to GitBackedMachines: %w", err)
	}
	ofMerge := func(ctx context.Context, o client.Object) []ctrl.Request {
		merge, ok := o.(*heavenv1.AutomatedMerge)
		if !ok {
			return nil
		}
		cluster := &clusterv1.Cluster{}
		if r.Client.Get(ctx, client.ObjectKey{Namespace: merge.Namespace, Name: merge.Spec.ClusterName}, cluster) != nil {
			return nil // without a Cluster there is nothing to look at again
		}
		return toMachines(ctx, cluster)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		For(&infrav1.GitBackedMachine{}).
		WithOptions(o).
		WithEventFilter(predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, r.WatchFilterValue)).
		Watches(&clusterv1.Machine{}, handler.EnqueueRequestsFromMapFunc(
			util.MachineToInfrastructureMapFunc(infrav1.GroupVersion.WithKind("GitBackedMachine")))).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(toMachines)).
		Watches(&heavenv1.AutomatedMerge{}, handler.EnqueueRequestsFromMapFunc(ofMerge)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up controller of GitBackedMachines: %w", err)
	}
	return nil
}

// Reconcile brings one GitBackedMachine forward.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, reterr error) {
	infra := &infrav1.GitBackedMachine{}
	if err := r.Client.Get(ctx, req.NamespacedName, infra); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	machine, err := util.GetOwnerMachine(ctx, r.Client, infra.ObjectMeta)
	if err != nil && !apierrors.IsNotFound(err) {
		return ctrl.Result{}, fmt.Errorf("read Machine: %w", err)
	}
	if machine == nil && infra.DeletionTimestamp.IsZero() {
		ctrl.LoggerFrom(ctx).V(2).Info("Waiting for Cluster API to set the Machine as owner")
		return ctrl.Result{}, nil
	}
	cluster, err := r.clusterOf(ctx, infra, machine)
	if err != nil {
		return ctrl.Result{}, err
	}
	helper, err := reconcile.Open(ctx, r.Client, cluster, infra, infrav1.MachineFinalizer)
	if err != nil || helper == nil {
		return ctrl.Result{}, err
	}
	s := &scope{infra: infra, machine: machine, cluster: cluster}
	defer func() {
		judge(s)
		reterr = errors.Join(reterr, reconcile.Patch(ctx, helper, infra, owned, reterr == nil))
	}()
	phases := []phase{r.gatherHub, r.identify, r.provision, r.gatherNode}
	if !infra.DeletionTimestamp.IsZero() {
		phases = []phase{r.release}
	}
	if err := reconcile.Run(ctx, s, phases...); err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: s.again}, nil
}

// clusterOf returns the Cluster that a machine is a part of, nil when it is gone.
func (r *Reconciler) clusterOf(ctx context.Context, infra *infrav1.GitBackedMachine, machine *clusterv1.Machine) (*clusterv1.Cluster, error) {
	name := infra.Labels[clusterv1.ClusterNameLabel]
	if machine != nil {
		name = machine.Spec.ClusterName
	}
	cluster, err := util.GetClusterByName(ctx, r.Client, infra.Namespace, name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Cluster: %w", err)
	}
	return cluster, nil
}
