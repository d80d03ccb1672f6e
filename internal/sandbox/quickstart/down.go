// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"context"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/host"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/supervisor"
)

// deletePatience is how long a cluster may take to be deleted.
const deletePatience = "120s"

// Down removes what the story made: in the sandbox the whole host, elsewhere the
// cluster and what the story installed.
func (s *Story) Down(ctx context.Context) error {
	if s.o.Host == Sandbox {
		return s.downSandbox(ctx)
	}
	return s.take(ctx, []chapter{
		{"kubectl delete cluster " + s.o.Cluster, s.log("cluster"), s.deleteCluster},
		{"delete the sandbox machines", s.c.Log(host.MachinesSupervisor), func(ctx context.Context) error { return host.StopMachines(ctx, s.c) }},
		{"remove the providers that the story installed", s.log("init"), s.uninstall},
		{"remove the network of the machines and " + s.c.StateDir, "", func(ctx context.Context) error { return host.RemoveGuests(ctx, s.c) }},
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

// uninstall removes the providers, if the story installed them.
func (s *Story) uninstall(ctx context.Context) error {
	if !s.told.Installed {
		s.tell.Sayf("  they were there before the story: they stay")
		return nil
	}
	if _, err := s.clusterctl(ctx, s.log("init"), "delete", "--all", "--include-crd", "--include-namespace"); err != nil {
		return narrate.Mend(err, "run it again")
	}
	s.told.Installed = false
	if s.told.CertManager {
		s.tell.Sayf("  cert-manager, which clusterctl installed, stays: kubectl delete namespace cert-manager")
	}
	return s.keep()
}
