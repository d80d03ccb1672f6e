// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlessconfig

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
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

	bootstrapv1 "github.com/trishanku-org/cluster-api-provider-headless/api/bootstrap/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/bootstrap"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// +kubebuilder:rbac:groups=bootstrap.cluster.x-k8s.io,resources=headlessconfigs;headlessconfigs/status;headlessconfigs/finalizers,verbs=get;list;watch;update;patch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters;clusters/status;machines;machines/status,verbs=get;list;watch
// +kubebuilder:rbac:groups=controlplane.cluster.x-k8s.io,resources=headlesscontrolplanes,verbs=get;list;watch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=gitbackedmachines,verbs=get;list;watch
// +kubebuilder:rbac:groups=heaven.trishanku.org,resources=automatedmerges,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch

// Reconciler reconciles HeadlessConfigs.
type Reconciler struct {
	Client client.Client
	// Clock says what time certificates begin at. Nil: the real one.
	Clock clock.PassiveClock
	// WatchFilterValue is the value of the label cluster.x-k8s.io/watch-filter of what is reconciled. Empty: everything.
	WatchFilterValue string

	recorder events.EventRecorder
}

// scope is what one reconcile has seen.
type scope struct {
	config  *bootstrapv1.HeadlessConfig
	cluster *clusterv1.Cluster
	// machine is nil when the owner is of another kind; ownerKind says which.
	machine   *clusterv1.Machine
	ownerKind string

	// data is the data Secret; set by findData, or by writeData.
	data *corev1.Secret
	// foreign is set by findData when a Secret of that name is not the config's.
	foreign bool
	// hub is set by gatherHub; nil while there is no address of it.
	hub *heavenv1.AutomatedMerge
	// input is set by gatherInput, its certificates by writeData.
	input *bootstrap.Input
	ca    bootstrap.Authorities
	// missing and refused are set by gatherInput and writeData: what is not there yet, and what can not work.
	missing, refused string
}

// refuse notes what can not work as it is asked for: trying again would not help, so it is no error of the reconcile.
func (s *scope) refuse(err error) error {
	s.refused = err.Error()
	return nil
}

// retry is how soon is looked again for what is not watched: the cluster's Secrets, and those of the user's files.
const retry = 3 * time.Second

// SetupWithManager registers the reconciler.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, o controller.Options) error {
	r.recorder = mgr.GetEventRecorder("headlessconfig-controller")
	if r.Clock == nil {
		r.Clock = clock.RealClock{}
	}
	log := ctrl.LoggerFrom(ctx).WithValues("controller", "headlessconfig")
	toConfigs, err := util.ClusterToTypedObjectsMapper(mgr.GetClient(), &bootstrapv1.HeadlessConfigList{}, mgr.GetScheme())
	if err != nil {
		return fmt.Errorf("map Clusters to HeadlessConfigs: %w", err)
	}
	ofMerge := func(ctx context.Context, o client.Object) []ctrl.Request {
		cluster := &clusterv1.Cluster{}
		merge, ok := o.(*heavenv1.AutomatedMerge)
		if !ok || r.Client.Get(ctx, client.ObjectKey{Namespace: merge.Namespace, Name: merge.Spec.ClusterName}, cluster) != nil {
			return nil // without a Cluster there is nothing to look at again
		}
		return toConfigs(ctx, cluster)
	}
	err = ctrl.NewControllerManagedBy(mgr).
		For(&bootstrapv1.HeadlessConfig{}).
		WithOptions(o).
		WithEventFilter(predicates.ResourceHasFilterLabel(mgr.GetScheme(), log, r.WatchFilterValue)).
		Owns(&corev1.Secret{}).
		Watches(&clusterv1.Machine{}, handler.EnqueueRequestsFromMapFunc(ofMachine)).
		Watches(&clusterv1.Cluster{}, handler.EnqueueRequestsFromMapFunc(toConfigs)).
		Watches(&heavenv1.AutomatedMerge{}, handler.EnqueueRequestsFromMapFunc(ofMerge)).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up controller of HeadlessConfigs: %w", err)
	}
	return nil
}

// ofMachine leads from a Machine to its config.
func ofMachine(_ context.Context, o client.Object) []ctrl.Request {
	machine, ok := o.(*clusterv1.Machine)
	if !ok {
		return nil
	}
	ref := machine.Spec.Bootstrap.ConfigRef
	if ref.Kind != "HeadlessConfig" || ref.APIGroup != bootstrapv1.GroupVersion.Group {
		return nil
	}
	return []ctrl.Request{{NamespacedName: client.ObjectKey{Namespace: machine.Namespace, Name: ref.Name}}}
}

// Reconcile brings one HeadlessConfig forward.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, reterr error) {
	config := &bootstrapv1.HeadlessConfig{}
	if err := r.Client.Get(ctx, req.NamespacedName, config); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	s := &scope{config: config}
	if err := r.gatherOwner(ctx, s); err != nil {
		return ctrl.Result{}, err
	}
	helper, err := reconcile.Open(ctx, r.Client, s.cluster, config, "")
	if err != nil || helper == nil || !config.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, err
	}
	defer func() {
		judge(s)
		reterr = errors.Join(reterr, reconcile.Patch(ctx, helper, config, owned, reterr == nil))
	}()
	if err := reconcile.Run(ctx, s, r.findData, r.gatherHub, r.gatherInput, r.writeData, r.report); err != nil {
		return ctrl.Result{}, err
	}
	if s.missing != "" {
		return ctrl.Result{RequeueAfter: retry}, nil
	}
	return ctrl.Result{}, nil
}

// gatherOwner finds the Machine that the config is for, and its Cluster.
func (r *Reconciler) gatherOwner(ctx context.Context, s *scope) error {
	clusterName := s.config.Labels[clusterv1.ClusterNameLabel]
	for _, ref := range s.config.OwnerReferences {
		switch ref.Kind {
		case "Machine":
			machine, err := util.GetMachineByName(ctx, r.Client, s.config.Namespace, ref.Name)
			if client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("read Machine: %w", err)
			}
			if s.machine = machine; machine != nil {
				s.ownerKind, clusterName = ref.Kind, machine.Spec.ClusterName
			}
		case "MachinePool":
			s.ownerKind = ref.Kind
		}
	}
	if clusterName == "" {
		return nil
	}
	cluster, err := util.GetClusterByName(ctx, r.Client, s.config.Namespace, clusterName)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read Cluster: %w", err)
	}
	s.cluster = cluster
	return nil
}
