// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedmachine

import (
	"context"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
)

// gatherHub finds out where the machine has to reach.
func (r *Reconciler) gatherHub(ctx context.Context, s *scope) error {
	merge := &heavenv1.AutomatedMerge{}
	key := client.ObjectKey{Namespace: s.machine.Namespace, Name: heaven.MergeName(s.machine.Spec.ClusterName)}
	if err := r.Client.Get(ctx, key, merge); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil
		}
		return fmt.Errorf("read AutomatedMerge: %w", err)
	}
	if e := merge.Status.Endpoint.External; e.Host != "" {
		s.hub = net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
	}
	return nil
}

// identify sets the provider ID, by which Cluster API recognises the Node: early, since the user data says it too.
func (r *Reconciler) identify(_ context.Context, s *scope) error {
	if s.infra.Spec.ProviderID == "" {
		s.infra.Spec.ProviderID = infrav1.ProviderIDPrefix + s.infra.Namespace + "/" + s.infra.Name
	}
	return nil
}

// provision tells Cluster API that the machine can be started: for an external one, that there is user data to run.
func (r *Reconciler) provision(_ context.Context, s *scope) error {
	if s.infra.Spec.External == nil || !infrastructureProvisioned(s) || userData(s) == "" || provisioned(s) {
		return nil
	}
	s.infra.Status.Initialization.Provisioned = new(true)
	r.recorder.Eventf(s.infra, s.machine, corev1.EventTypeNormal, "UserDataReady", "Provision", "%s", invitation(s))
	return nil
}

// release gives the machine back to whoever brought it.
func (r *Reconciler) release(_ context.Context, s *scope) error {
	if provisioned(s) {
		r.recorder.Eventf(s.infra, nil, corev1.EventTypeNormal, "MachineReleased", "Delete",
			"the machine is yours again: power it off, and wipe /etc/headless, /var/lib/gitcd and /var/lib/kubelet, which hold keys of the cluster")
	}
	controllerutil.RemoveFinalizer(s.infra, infrav1.MachineFinalizer)
	return nil
}

func infrastructureProvisioned(s *scope) bool {
	if s.cluster == nil {
		return false
	}
	p := s.cluster.Status.Initialization.InfrastructureProvisioned
	return p != nil && *p
}

func provisioned(s *scope) bool {
	p := s.infra.Status.Initialization.Provisioned
	return p != nil && *p
}

// userData is the name of the Secret with the user data, empty while there is none.
func userData(s *scope) string {
	if name := s.machine.Spec.Bootstrap.DataSecretName; name != nil {
		return *name
	}
	return ""
}

// invitation says what the owner of an external machine has to do.
func invitation(s *scope) string {
	hub := s.hub
	if hub == "" {
		hub = "the cluster's hub"
	}
	return fmt.Sprintf("run the user data in Secret %s/%s (key value) on a machine that reaches %s; it needs nothing else",
		s.machine.Namespace, userData(s), hub)
}
