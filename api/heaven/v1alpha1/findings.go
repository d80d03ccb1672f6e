// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MergeFindings are what the merges of a cluster have found that a person may want to see.
type MergeFindings struct {
	// conflicts counts the conflicts on record.
	// +optional
	Conflicts ConflictCount `json:"conflicts,omitempty,omitzero"`

	// quarantine counts the changes that a gate did not let into main.
	// +optional
	Quarantine QuarantineCount `json:"quarantine,omitempty,omitzero"`

	// forge says what the forge has. Absent: there is no forge.
	// +optional
	Forge ForgeStatus `json:"forge,omitempty,omitzero"`
}

// ConflictCount counts the conflicts on record.
// +kubebuilder:validation:MinProperties=1
type ConflictCount struct {
	// open are those that nobody has resolved.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Open *int64 `json:"open,omitempty"`

	// recorded are all, ever. The last of them that an Event told of is the one with this number.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Recorded *int64 `json:"recorded,omitempty"`
}

// QuarantineCount counts the changes that a gate did not let into main.
// +kubebuilder:validation:MinProperties=1
type QuarantineCount struct {
	// waiting are those that nobody has approved or rejected.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Waiting *int64 `json:"waiting,omitempty"`

	// rejected are those that a person refused, and that the branch still holds.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Rejected *int64 `json:"rejected,omitempty"`

	// oldest is since when the oldest waits.
	// +optional
	Oldest metav1.Time `json:"oldest,omitempty,omitzero"`

	// recorded are all, ever. The last of them that an Event told of is the one with this number.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Recorded *int64 `json:"recorded,omitempty"`
}

// ForgeStatus says what the forge has.
// +kubebuilder:validation:MinProperties=1
type ForgeStatus struct {
	// url of the repository at the forge.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	URL string `json:"url,omitempty"`

	// connected says whether the forge answered when it was asked last.
	// +optional
	Connected *bool `json:"connected,omitempty"`

	// oldestUnmirrored is the time of the oldest change that the forge lacks. Its age is what the loss of the host cluster
	// would cost (RPO). Absent: the forge lacks nothing.
	// +optional
	OldestUnmirrored metav1.Time `json:"oldestUnmirrored,omitempty,omitzero"`

	// lastPush is when the forge last took something.
	// +optional
	LastPush metav1.Time `json:"lastPush,omitempty,omitzero"`

	// webhookURL is what the forge is told to call when something is pushed there. Absent: nobody listens, or the hub has no
	// external address yet.
	// +optional
	// +kubebuilder:validation:MaxLength=1100
	WebhookURL string `json:"webhookURL,omitempty"`
}
