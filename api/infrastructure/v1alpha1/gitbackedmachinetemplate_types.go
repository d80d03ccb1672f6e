// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// GitBackedMachineTemplateSpec is what a template holds.
type GitBackedMachineTemplateSpec struct {
	// template is what each GitBackedMachine is made from.
	// +required
	Template GitBackedMachineTemplateResource `json:"template,omitempty,omitzero"`
}

// GitBackedMachineTemplateResource is what each GitBackedMachine is made from.
// +kubebuilder:validation:MinProperties=1
type GitBackedMachineTemplateResource struct {
	// metadata is put on each GitBackedMachine.
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec of each GitBackedMachine.
	// +optional
	Spec GitBackedMachineSpec `json:"spec,omitempty,omitzero"`
}

// GitBackedMachineTemplate is what MachineDeployments make machines from.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=gitbackedmachinetemplates,shortName=gbmt,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type GitBackedMachineTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the template holds.
	// +required
	Spec GitBackedMachineTemplateSpec `json:"spec,omitempty,omitzero"`
}

// GitBackedMachineTemplateList is a list of templates.
// +kubebuilder:object:root=true
type GitBackedMachineTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []GitBackedMachineTemplate `json:"items"`
}
