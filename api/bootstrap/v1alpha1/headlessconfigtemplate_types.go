// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// HeadlessConfigTemplateSpec is what a template holds.
type HeadlessConfigTemplateSpec struct {
	// template is what each HeadlessConfig is made from.
	// +required
	Template HeadlessConfigTemplateResource `json:"template,omitempty,omitzero"`
}

// HeadlessConfigTemplateResource is what each HeadlessConfig is made from.
// +kubebuilder:validation:MinProperties=1
type HeadlessConfigTemplateResource struct {
	// metadata is put on each HeadlessConfig.
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec of each HeadlessConfig.
	// +optional
	Spec HeadlessConfigSpec `json:"spec,omitempty,omitzero"`
}

// HeadlessConfigTemplate is what MachineDeployments make configs from.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=headlessconfigtemplates,shortName=hconft,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type HeadlessConfigTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the template holds.
	// +required
	Spec HeadlessConfigTemplateSpec `json:"spec,omitempty,omitzero"`
}

// HeadlessConfigTemplateList is a list of templates.
// +kubebuilder:object:root=true
type HeadlessConfigTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []HeadlessConfigTemplate `json:"items"`
}
