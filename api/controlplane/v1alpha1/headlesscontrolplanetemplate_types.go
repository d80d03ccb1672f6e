// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// HeadlessControlPlaneTemplateSpec is what a template holds.
type HeadlessControlPlaneTemplateSpec struct {
	// template is what each HeadlessControlPlane is made from.
	// +required
	Template HeadlessControlPlaneTemplateResource `json:"template,omitempty,omitzero"`
}

// HeadlessControlPlaneTemplateResource is what each HeadlessControlPlane is made from.
// +kubebuilder:validation:MinProperties=1
type HeadlessControlPlaneTemplateResource struct {
	// metadata is put on each HeadlessControlPlane.
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec of each HeadlessControlPlane.
	// +optional
	Spec HeadlessControlPlaneConfiguration `json:"spec,omitempty,omitzero"`
}

// HeadlessControlPlaneTemplate is what a ClusterClass makes control planes from.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=headlesscontrolplanetemplates,shortName=hcpt,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type HeadlessControlPlaneTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the template holds.
	// +required
	Spec HeadlessControlPlaneTemplateSpec `json:"spec,omitempty,omitzero"`
}

// HeadlessControlPlaneTemplateList is a list of templates.
// +kubebuilder:object:root=true
type HeadlessControlPlaneTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []HeadlessControlPlaneTemplate `json:"items"`
}
