// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Conditions of a TrishankuHeaven. All but Deleting are good when True.
const (
	// HeavenAvailable says whether the heaven's kube-apiserver, and its component if it has one, work.
	HeavenAvailable = "Available"

	// HeavenProgressing says whether the heaven's workload is still becoming what the spec says.
	HeavenProgressing = "Progressing"

	// HeavenCertificatesReady says whether all Secrets that the heaven mounts exist and are valid.
	HeavenCertificatesReady = "CertificatesReady"

	// HeavenSynced says whether everything acknowledged in the heaven has reached the upstream.
	HeavenSynced = "Synced"

	// HeavenDeleting says whether the heaven is going away, and what it waits for.
	HeavenDeleting = "Deleting"
)

// Conditions of an AutomatedMerge.
const (
	// MergeAvailable says whether the hub answers.
	MergeAvailable = "Available"

	// MergeEndpointReady says whether clients outside the host cluster have an address of the hub.
	MergeEndpointReady = "EndpointReady"

	// MergeMainReady says whether main exists, so that heavens and nodes can begin.
	MergeMainReady = "MainReady"

	// MergeConflictFree says whether every conflict on record has been resolved by a person.
	MergeConflictFree = "ConflictFree"

	// MergeQuarantineEmpty says whether no change waits for a person because a gate did not let it into main.
	MergeQuarantineEmpty = "QuarantineEmpty"

	// MergeForgeInStep says whether the forge has what main and the branches have. Without a forge it is True.
	MergeForgeInStep = "ForgeInStep"

	// MergeDeleting says whether the hub is going away, and what it waits for.
	MergeDeleting = "Deleting"
)

// Conditions of a GitRepository.
const (
	// RepositoryReady says whether the repository can be used.
	RepositoryReady = "Ready"

	// RepositoryDeleting says whether the repository is going away, and what it waits for.
	RepositoryDeleting = "Deleting"
)
