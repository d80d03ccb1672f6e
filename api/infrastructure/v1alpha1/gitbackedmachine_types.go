// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// GitBackedMachineSpec is what a machine shall be. Exactly one kind of machine is set. The failure domain is the
// Machine's: this spec has none, on purpose.
type GitBackedMachineSpec struct {
	// providerID is what the machine's kubelet is started with. If it is not set it becomes headless://<namespace>/<name>.
	// It never changes once set.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ProviderID string `json:"providerID,omitempty"`

	// external is a machine that someone else brings: it gets the user data from the bootstrap Secret and joins by itself.
	// +optional
	External *ExternalMachine `json:"external,omitempty"`
}

// ExternalMachine is a machine that someone else brings.
type ExternalMachine struct{}

// GitBackedMachineStatus is what was last seen of a machine.
type GitBackedMachineStatus struct {
	// conditions of the machine: Ready, BootstrapDataReady, MachineProvisioned, Deleting, Paused.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// initialization tells Cluster API how far the first start is.
	// +optional
	Initialization GitBackedMachineInitializationStatus `json:"initialization,omitempty,omitzero"`

	// addresses of the machine.
	// +optional
	Addresses clusterv1.MachineAddresses `json:"addresses,omitempty"`

	// failureDomain that the machine really is in.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	FailureDomain string `json:"failureDomain,omitempty"`

	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// GitBackedMachineInitializationStatus tells Cluster API how far the first start is.
// +kubebuilder:validation:MinProperties=1
type GitBackedMachineInitializationStatus struct {
	// provisioned is true once the machine has, or can fetch, its user data. It never becomes false again.
	// +optional
	Provisioned *bool `json:"provisioned,omitempty"`
}

// GitBackedMachine is the infrastructure of one Machine of a headless cluster.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=gitbackedmachines,shortName=gbm,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type="string",JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`,description="Cluster that the machine belongs to"
// +kubebuilder:printcolumn:name="Machine",type="string",JSONPath=`.metadata.ownerReferences[?(@.kind=="Machine")].name`,description="Machine that this is the infrastructure of"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="The machine is there"
// +kubebuilder:printcolumn:name="Provider ID",type="string",JSONPath=".spec.providerID"
// +kubebuilder:printcolumn:name="Paused",type="string",JSONPath=`.status.conditions[?(@.type=="Paused")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type GitBackedMachine struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the machine shall be.
	// +required
	Spec GitBackedMachineSpec `json:"spec,omitempty,omitzero"`

	// status is what was last seen of it.
	// +optional
	Status GitBackedMachineStatus `json:"status,omitempty,omitzero"`
}

// GitBackedMachineList is a list of machines.
// +kubebuilder:object:root=true
type GitBackedMachineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []GitBackedMachine `json:"items"`
}

// GetConditions returns the conditions of the machine.
func (m *GitBackedMachine) GetConditions() []metav1.Condition { return m.Status.Conditions }

// SetConditions replaces the conditions of the machine.
func (m *GitBackedMachine) SetConditions(s []metav1.Condition) { m.Status.Conditions = s }
