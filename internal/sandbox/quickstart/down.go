// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"context"
	"fmt"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/host"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/supervisor"
)

// deletePatience is how long a cluster may take to be deleted.
const deletePatience = "180s"

// Down removes what the story made: in the sandbox the whole host, elsewhere the
// cluster and what the story installed.
func (s *Story) Down(ctx context.Context) error {
	release, err := host.Lock(ctx, s.c)
	if err != nil {
		return err
	}
	defer release()
	if s.o.Host == Sandbox {
		return s.downSandbox(ctx)
	}
	return s.take(ctx, []chapter{
		{"kubectl delete cluster " + s.o.Cluster, s.log("cluster"), s.deleteCluster},
		{"delete the sandbox machines", s.c.Log(host.MachinesSupervisor), func(ctx context.Context) error { return host.StopMachines(ctx, s.c) }},
		{"remove the providers that the story installed", s.log("init"), s.uninstall},
		{"remove the network of the machines and " + s.c.StateDir, "", func(ctx context.Context) error { return host.RemoveGuests(ctx, s.c) }},
		{"look for leftovers", "", func(ctx context.Context) error { return host.Prove(ctx, s.c, s.tell) }},
	})
}

// downSandbox deletes the cluster as a user would, and then the host. A cluster
// that does not go in time goes with its host.
func (s *Story) downSandbox(ctx context.Context) error {
	if _, ok := supervisor.Running(s.c.Run()); ok {
		err := s.tell.Do(ctx, "kubectl delete cluster "+s.o.Cluster, s.log("cluster"), s.deleteCluster)
		if err != nil {
			s.tell.Sayf("  it goes with its host: %v", err)
		}
	}
	h := &host.Host{Config: s.c, Tell: s.tell, Clock: s.clock}
	return h.Down(ctx)
}

// deleteCluster deletes the cluster and waits until it is gone.
func (s *Story) deleteCluster(ctx context.Context) error {
	if _, err := s.host.Run(ctx, "get", "crd", "clusters.cluster.x-k8s.io"); err != nil {
		return nil //nolint:nilerr // without the kind there is no cluster
	}
	_, err := s.host.Run(ctx, "delete", "cluster", s.o.Cluster, "--namespace", s.o.Namespace, "--ignore-not-found", "--wait", "--timeout="+deletePatience)
	if err != nil {
		s.diagnoseCluster(ctx)
		return narrate.Mend(fmt.Errorf("delete cluster: %w", err), "kubectl --kubeconfig "+s.host.Kubeconfig+" get cluster-api --all-namespaces")
	}
	return nil
}

// uninstall removes the providers, if the story installed them. It goes by their
// label rather than by `clusterctl delete`: that leaves cluster-wide roles
// behind, and cannot be repeated once the core provider is gone.
func (s *Story) uninstall(ctx context.Context) error {
	if !s.told.Installed {
		s.tell.Sayf("  they were there before the story: they stay")
		return nil
	}
	out, err := s.host.Run(ctx, "get", "clusters.cluster.x-k8s.io", "--all-namespaces", "-o", "name")
	if err == nil && strings.TrimSpace(out) != "" {
		return narrate.Mend(fmt.Errorf("other clusters need the providers: %s", strings.Join(strings.Fields(out), ", ")),
			"delete them first, and run it again")
	}
	selector := providerLabel + " in (" + strings.Join(providers, ",") + ")"
	for _, kinds := range []string{
		"validatingwebhookconfigurations,mutatingwebhookconfigurations", // nobody answers them once the managers go
		"namespaces",
		"customresourcedefinitions",
		"clusterroles,clusterrolebindings",
	} {
		if _, err := s.host.Run(ctx, "delete", kinds, "--selector", selector, "--ignore-not-found", "--wait", "--timeout="+deletePatience); err != nil {
			return narrate.Mend(fmt.Errorf("delete the providers' %s: %w", kinds, err), "run it again")
		}
	}
	if _, err := s.host.Run(ctx, "delete", "customresourcedefinition", inventory, "--ignore-not-found", "--timeout="+deletePatience); err != nil {
		return narrate.Mend(fmt.Errorf("delete clusterctl's inventory: %w", err), "run it again")
	}
	s.told.Installed = false
	if s.told.CertManager {
		s.tell.Sayf("  cert-manager, which clusterctl installed, stays: kubectl delete namespace cert-manager")
	}
	return s.keep()
}
