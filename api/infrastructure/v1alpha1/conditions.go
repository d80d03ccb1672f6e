// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Finalizers of the kinds of this group.
const (
	// ClusterFinalizer keeps a GitBackedCluster until its GitRepository is gone.
	ClusterFinalizer = "gitbackedcluster.infrastructure.cluster.x-k8s.io"

	// MachineFinalizer keeps a GitBackedMachine until its machine is gone or given back.
	MachineFinalizer = "gitbackedmachine.infrastructure.cluster.x-k8s.io"
)

// ProviderIDPrefix begins the provider ID of machines that are not of a cloud: headless://<namespace>/<name>.
const ProviderIDPrefix = "headless://"

// Conditions of a GitBackedCluster. Paused and Deleting are good when False, all others when True.
const (
	// ClusterReady sums up the others. Core mirrors it as the Cluster's InfrastructureReady.
	ClusterReady = "Ready"

	// ClusterRepositoryReady says whether the Git repository can be used.
	ClusterRepositoryReady = "RepositoryReady"

	// ClusterDeleting says whether the infrastructure is going away, and what it waits for.
	ClusterDeleting = "Deleting"
)

// Conditions of a GitBackedMachine. Paused and Deleting are good when False, all others when True.
const (
	// MachineReady sums up the others. Core mirrors it as the Machine's InfrastructureReady.
	MachineReady = "Ready"

	// MachineBootstrapDataReady says whether the user data that the machine shall run exists.
	MachineBootstrapDataReady = "BootstrapDataReady"

	// MachineProvisioned says whether there is a machine that runs the user data.
	MachineProvisioned = "MachineProvisioned"

	// MachineDeleting says whether the machine is going away, and what it waits for.
	MachineDeleting = "Deleting"
)
