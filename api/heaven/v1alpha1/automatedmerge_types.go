// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AutomatedMergeSpec is what a hub shall be.
type AutomatedMergeSpec struct {
	// clusterName names the Cluster whose branches are merged. It never changes.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName never changes; delete the merge and create another"
	ClusterName string `json:"clusterName,omitempty"`

	// repositoryRef names the GitRepository that keeps the durable history. Default: <cluster>.
	// +optional
	RepositoryRef LocalReference `json:"repositoryRef,omitempty,omitzero"`

	// branches says which branches the hub receives and merges.
	// +optional
	Branches MergeBranches `json:"branches,omitempty,omitzero"`

	// MergeRules say what the hub makes of the branches' changes.
	MergeRules `json:",inline"`

	// service exposes the hub to heavens and nodes. Default: a NodePort with port 8443.
	// +optional
	Service ServiceTemplate `json:"service,omitempty,omitzero"`

	// storage of the hub's repository. Without a forge this volume is the durable history. Default: a volume of 5Gi of
	// the default storage class.
	// +optional
	Storage *Storage `json:"storage,omitempty"`

	// gitCA names the Secret (tls.crt, tls.key) that signs the certificates between hub and heavens; a client's common name
	// is the only branch it may push. Default: <cluster>-git-ca.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	GitCA string `json:"gitCA,omitempty"`

	// resources of the hub's container.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`

	// images overrides where container images come from.
	// +optional
	Images Images `json:"images,omitempty,omitzero"`
}

// MergeBranches names branches.
type MergeBranches struct {
	// main is the branch that all others are merged into. Default: main.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Main string `json:"main,omitempty"`

	// prefixes of the branches that are received. Default: heavens/ and nodes/.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=2
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^[a-z][a-z0-9/-]*/$`
	Prefixes []string `json:"prefixes,omitempty"`

	// genesis is the only branch that may create main. Default: heavens/apiserver.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Genesis string `json:"genesis,omitempty"`
}

// AutomatedMergeStatus is what was last seen of a hub.
type AutomatedMergeStatus struct {
	// conditions of the hub: Available, EndpointReady, MainReady, ConflictFree, QuarantineEmpty, ForgeInStep, Deleting.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// endpoint says where the hub is reached.
	// +optional
	Endpoint MergeEndpoint `json:"endpoint,omitempty,omitzero"`

	// mainHead is the last commit of main. Empty: main does not exist yet.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	MainHead string `json:"mainHead,omitempty"`

	// branches are the branches that the hub has received.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=5000
	Branches []BranchStatus `json:"branches,omitempty"`

	// MergeFindings are what merges have found that a person may want to see.
	MergeFindings `json:",inline"`

	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// MergeEndpoint says where a hub is reached.
// +kubebuilder:validation:MinProperties=1
type MergeEndpoint struct {
	// internal is for clients in the host cluster.
	// +optional
	Internal Endpoint `json:"internal,omitempty,omitzero"`

	// external is for all others, such as nodes.
	// +optional
	External Endpoint `json:"external,omitempty,omitzero"`
}

// BranchStatus is what the hub knows of a branch.
type BranchStatus struct {
	// name of the branch, such as heavens/kube-scheduler.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// head is the last commit that the hub received.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Head string `json:"head,omitempty"`

	// epoch is the fencing number of the branch's writer.
	// +optional
	Epoch *int64 `json:"epoch,omitempty"`

	// holder identifies the branch's writer.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Holder string `json:"holder,omitempty"`

	// lastPush is when the hub last received commits.
	// +optional
	LastPush metav1.Time `json:"lastPush,omitempty,omitzero"`

	// merged says whether head is part of main. Absent: not known.
	// +optional
	Merged *bool `json:"merged,omitempty"`

	// quarantined is how many of the branch's changes wait in quarantine.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Quarantined *int64 `json:"quarantined,omitempty"`

	// oldestUnmirrored is the time of the oldest change of the branch that the forge lacks. Absent: it lacks nothing, or
	// there is no forge.
	// +optional
	OldestUnmirrored metav1.Time `json:"oldestUnmirrored,omitempty,omitzero"`
}

// AutomatedMerge joins the branches of a headless cluster: a small Git server that receives the heavens' pushes, merges
// them into main and tells the heavens.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=automatedmerges,shortName=amerge,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:annotations="clusterctl.cluster.x-k8s.io/skip-crd-name-preflight-check="
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type="string",JSONPath=".spec.clusterName",description="Cluster whose branches are merged"
// +kubebuilder:printcolumn:name="Available",type="string",JSONPath=`.status.conditions[?(@.type=="Available")].status`,description="The hub answers"
// +kubebuilder:printcolumn:name="Main",type="string",JSONPath=".status.mainHead",description="Last commit of main"
// +kubebuilder:printcolumn:name="Conflicts",type="integer",JSONPath=".status.conflicts.open",description="Conflicts that nobody has looked at"
// +kubebuilder:printcolumn:name="Quarantine",type="integer",JSONPath=".status.quarantine.waiting",description="Changes that wait for a person"
// +kubebuilder:printcolumn:name="RPO",type="date",JSONPath=".status.forge.oldestUnmirrored",description="Age of the oldest change that the forge lacks; empty if it lacks nothing"
// +kubebuilder:printcolumn:name="Host",type="string",JSONPath=".status.endpoint.external.host",priority=1
// +kubebuilder:printcolumn:name="Port",type="integer",JSONPath=".status.endpoint.external.port",priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Available")].message`,priority=1
type AutomatedMerge struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the hub shall be.
	// +required
	Spec AutomatedMergeSpec `json:"spec,omitempty,omitzero"`

	// status is what was last seen of it.
	// +optional
	Status AutomatedMergeStatus `json:"status,omitempty,omitzero"`
}

// AutomatedMergeList is a list of hubs.
// +kubebuilder:object:root=true
type AutomatedMergeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []AutomatedMerge `json:"items"`
}

// GetConditions returns the conditions of the hub.
func (m *AutomatedMerge) GetConditions() []metav1.Condition { return m.Status.Conditions }

// SetConditions replaces the conditions of the hub.
func (m *AutomatedMerge) SetConditions(c []metav1.Condition) { m.Status.Conditions = c }
