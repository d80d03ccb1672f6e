// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	"context"
	"fmt"
	"net"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/cluster-api/util/kubeconfig"
	"sigs.k8s.io/cluster-api/util/labels/format"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven/apply"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// gather reads the hub and the heavens of this control plane.
func (r *Reconciler) gather(ctx context.Context, s *scope) error {
	return gatherFrom(ctx, r.Client, s)
}

func gatherFrom(ctx context.Context, reader client.Reader, s *scope) error {
	ours := client.MatchingLabels{
		clusterv1.ClusterNameLabel: s.cluster.Name,
		heavenv1.ControlPlaneLabel: format.MustFormatValue(s.hcp.Name),
	}
	heavens := &heavenv1.TrishankuHeavenList{}
	if err := reader.List(ctx, heavens, client.InNamespace(s.hcp.Namespace), ours); err != nil {
		return fmt.Errorf("list TrishankuHeavens: %w", err)
	}
	merges := &heavenv1.AutomatedMergeList{}
	if err := reader.List(ctx, merges, client.InNamespace(s.hcp.Namespace), ours); err != nil {
		return fmt.Errorf("list AutomatedMerges: %w", err)
	}
	s.have = heaven.Have{Heavens: make(map[string]*heavenv1.TrishankuHeaven, len(heavens.Items))}
	for i := range heavens.Items {
		s.have.Heavens[heavens.Items[i].Name] = &heavens.Items[i]
	}
	for i := range merges.Items {
		if merges.Items[i].Name == heaven.MergeName(s.cluster.Name) {
			s.have.Merge = &merges.Items[i]
		}
	}
	s.gathered = true
	return nil
}

// waitForInfrastructure holds everything back until there is a repository.
func waitForInfrastructure(_ context.Context, s *scope) error {
	if !ptr.Deref(s.cluster.Status.Initialization.InfrastructureProvisioned, false) {
		s.waiting = true
		return reconcile.ErrStop
	}
	return nil
}

// ensureKeys makes the cluster's decisive Secrets once.
func (r *Reconciler) ensureKeys(ctx context.Context, s *scope) error {
	made, err := pki.EnsureCluster(ctx, r.Client, util.ObjectKey(s.cluster),
		pki.EncryptionProvider(s.hcp.Spec.Encryption.Provider), s.owner())
	if err != nil {
		s.keysFailure = err
		return err
	}
	s.keys = true
	for _, name := range made {
		s.told = append(s.told, "made Secret "+name)
	}
	return nil
}

// owner goes on what clusterctl is to move with the control plane.
func (s *scope) owner() metav1.OwnerReference {
	return *metav1.NewControllerRef(s.hcp, controlplanev1.GroupVersion.WithKind("HeadlessControlPlane"))
}

// set computes what there shall be. A spec that cannot be carried out is a condition, and waits for a better one.
func (r *Reconciler) set(_ context.Context, s *scope) error {
	want, err := heaven.Set(s.cluster, s.hcp)
	if err != nil {
		s.specFailure = err
		return reconcile.ErrStop
	}
	s.want = &want
	return nil
}

func (r *Reconciler) plan(_ context.Context, s *scope) error {
	s.steps = heaven.Plan(*s.want, s.have)
	return nil
}

func (r *Reconciler) planDeletion(ctx context.Context, s *scope) error {
	s.steps = heaven.PlanDeletion(s.have)
	if len(s.steps) > 0 || r.live == nil {
		return nil
	}
	// That nothing is left is believed only the server: the cache may not have seen yet what was made a moment ago.
	if err := gatherFrom(ctx, r.live, s); err != nil {
		return err
	}
	s.steps = heaven.PlanDeletion(s.have)
	return nil
}

// carryOut does what the plan says, in its order.
func (r *Reconciler) carryOut(ctx context.Context, s *scope) error {
	applier := apply.Applier{Client: r.Client, Owner: fieldOwner, Live: r.live}
	for _, step := range s.steps {
		changed := false
		var err error
		switch step.Action {
		case heaven.ApplyMerge:
			have := &heavenv1.AutomatedMerge{}
			changed, err = applier.Apply(ctx, step.Merge, have)
			s.have.Merge = have
		case heaven.ApplyHeaven:
			have := &heavenv1.TrishankuHeaven{}
			changed, err = applier.Apply(ctx, step.Heaven, have)
			s.have.Heavens[step.Name] = have
		case heaven.DeleteMerge:
			changed, err = true, client.IgnoreNotFound(r.Client.Delete(ctx, step.Merge))
		case heaven.DeleteHeaven:
			changed, err = true, client.IgnoreNotFound(r.Client.Delete(ctx, step.Heaven))
		case heaven.Wait:
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", step.Action, step.Name, err)
		}
		if changed {
			s.told = append(s.told, step.String())
		}
	}
	return nil
}

// ensureEndpoint takes the front door's address if nobody has said another.
func ensureEndpoint(_ context.Context, s *scope) error {
	frontDoor := s.have.Heavens[s.want.FrontDoor.Name]
	endpoint := &s.hcp.Spec.ControlPlaneEndpoint
	if endpoint.IsZero() {
		*endpoint = s.cluster.Spec.ControlPlaneEndpoint
	}
	if endpoint.IsZero() && frontDoor != nil && frontDoor.Status.Endpoint.Host != "" {
		*endpoint = clusterv1.APIEndpoint{Host: frontDoor.Status.Endpoint.Host, Port: frontDoor.Status.Endpoint.Port}
	}
	if endpoint.IsZero() {
		return reconcile.ErrStop
	}
	return nil
}

// ensureKubeconfig keeps the Secret by which Cluster API, and people, come in.
func (r *Reconciler) ensureKubeconfig(ctx context.Context, s *scope) error {
	endpoint := s.hcp.Spec.ControlPlaneEndpoint
	if given := s.cluster.Spec.ControlPlaneEndpoint; !given.IsZero() {
		endpoint = given
	}
	why, err := pki.EnsureKubeconfig(ctx, r.Client, util.ObjectKey(s.cluster),
		net.JoinHostPort(endpoint.Host, strconv.Itoa(int(endpoint.Port))), s.owner(), r.Clock.Now())
	if err != nil {
		return err
	}
	if why != "" {
		s.told = append(s.told, "made the kubeconfig: "+why)
	}
	return nil
}

// probe asks the API server itself, in the way that everybody else comes in. It is not asked before it can be there.
func (r *Reconciler) probe(ctx context.Context, s *scope) error {
	frontDoor := s.have.Heavens[s.want.FrontDoor.Name]
	initialized := ptr.Deref(s.hcp.Status.Initialization.ControlPlaneInitialized, false)
	if frontDoor == nil || !initialized && !conditions.IsTrue(frontDoor, heavenv1.HeavenAvailable) {
		return nil
	}
	config, err := kubeconfig.FromSecret(ctx, r.Client, util.ObjectKey(s.cluster))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	s.probed = true
	// One that was made just now, and that the cache has not seen yet, is not there to be tried.
	s.probeFailure = err
	if err == nil {
		s.probeFailure = r.Prober.Ready(ctx, config)
	}
	return nil
}

// removeFinalizer lets the control plane go when nothing is left of it.
func removeFinalizer(_ context.Context, s *scope) error {
	if len(s.steps) == 0 {
		controllerutil.RemoveFinalizer(s.hcp, controlplanev1.Finalizer)
	}
	return nil
}
