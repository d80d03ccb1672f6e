// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Finalizer keeps a HeadlessControlPlane until its heavens and its hub are gone.
const Finalizer = "headlesscontrolplane.controlplane.cluster.x-k8s.io"

// Conditions of a HeadlessControlPlane. Paused, Deleting and RollingOut are good when False, all others when True.
const (
	// ConditionAvailable says whether the API server answers and every component works. Core mirrors it.
	ConditionAvailable = "Available"

	// ConditionCertificatesAvailable says whether all cluster Secrets exist and are valid.
	ConditionCertificatesAvailable = "CertificatesAvailable"

	// ConditionHubAvailable says whether the hub receives and merges.
	ConditionHubAvailable = "HubAvailable"

	// ConditionAPIServerHealthy says whether the front door works.
	ConditionAPIServerHealthy = "APIServerHealthy"

	// ConditionControllerManagerHealthy says whether kube-controller-manager works.
	ConditionControllerManagerHealthy = "ControllerManagerHealthy"

	// ConditionSchedulerHealthy says whether kube-scheduler works.
	ConditionSchedulerHealthy = "SchedulerHealthy"

	// ConditionComponentsHealthy says whether the additional components work.
	ConditionComponentsHealthy = "ComponentsHealthy"

	// ConditionSynced says whether everything acknowledged anywhere in the control plane has reached the hub.
	ConditionSynced = "Synced"

	// ConditionConflictFree says whether every conflict on record has been resolved by a person.
	ConditionConflictFree = "ConflictFree"

	// ConditionQuarantineEmpty says whether no change waits for a person because a gate did not let it into main.
	ConditionQuarantineEmpty = "QuarantineEmpty"

	// ConditionForgeInStep says whether the forge has what main and the branches have. Without a forge it is True.
	ConditionForgeInStep = "ForgeInStep"

	// ConditionRollingOut says whether heavens are being changed to a new version or configuration.
	ConditionRollingOut = "RollingOut"

	// ConditionDeleting says whether the control plane is going away, and what it waits for.
	ConditionDeleting = "Deleting"
)
