// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// GitBackedClusterTemplateSpec is what a template holds.
type GitBackedClusterTemplateSpec struct {
	// template is what each GitBackedCluster is made from.
	// +required
	Template GitBackedClusterTemplateResource `json:"template,omitempty,omitzero"`
}

// GitBackedClusterTemplateResource is what each GitBackedCluster is made from.
// +kubebuilder:validation:MinProperties=1
type GitBackedClusterTemplateResource struct {
	// metadata is put on each GitBackedCluster.
	// +optional
	ObjectMeta clusterv1.ObjectMeta `json:"metadata,omitempty,omitzero"`

	// spec of each GitBackedCluster.
	// +optional
	Spec GitBackedClusterSpec `json:"spec,omitempty,omitzero"`
}

// GitBackedClusterTemplate is what a ClusterClass makes infrastructures from.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=gitbackedclustertemplates,shortName=gbct,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:storageversion
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type GitBackedClusterTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the template holds.
	// +required
	Spec GitBackedClusterTemplateSpec `json:"spec,omitempty,omitzero"`
}

// GitBackedClusterTemplateList is a list of templates.
// +kubebuilder:object:root=true
type GitBackedClusterTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []GitBackedClusterTemplate `json:"items"`
}
