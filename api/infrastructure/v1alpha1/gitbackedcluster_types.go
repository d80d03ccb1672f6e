// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// GitBackedClusterSpec is what the infrastructure of a headless cluster shall be.
type GitBackedClusterSpec struct {
	// controlPlaneEndpoint is where people reach the API server, if it is known beforehand, for instance a DNS name. If
	// it is not set the control plane gives it.
	// +optional
	ControlPlaneEndpoint clusterv1.APIEndpoint `json:"controlPlaneEndpoint,omitempty,omitzero"`

	// repository is the durable home of the cluster's history; a GitRepository <cluster> is made from it.
	// +optional
	Repository Repository `json:"repository,omitempty,omitzero"`

	// failureDomains that Machines can be spread over. They are handed to Cluster API as they are.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	FailureDomains []clusterv1.FailureDomain `json:"failureDomains,omitempty"`
}

// Repository is what a GitRepository is made from.
// +kubebuilder:validation:MinProperties=1
type Repository struct {
	// forge is the Git host. Default: none, the volume of the cluster's hub is the repository.
	// +optional
	Forge heavenv1.Forge `json:"forge,omitempty,omitzero"`

	// deletionPolicy says what becomes of the history when the cluster is deleted. Default: Delete.
	// +optional
	DeletionPolicy heavenv1.DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// GitBackedClusterStatus is what was last seen of the infrastructure.
type GitBackedClusterStatus struct {
	// conditions of the infrastructure: Ready, RepositoryReady, Deleting, Paused.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// initialization tells Cluster API how far the first start is.
	// +optional
	Initialization GitBackedClusterInitializationStatus `json:"initialization,omitempty,omitzero"`

	// failureDomains that Machines can be spread over.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	FailureDomains []clusterv1.FailureDomain `json:"failureDomains,omitempty"`

	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// GitBackedClusterInitializationStatus tells Cluster API how far the first start is.
// +kubebuilder:validation:MinProperties=1
type GitBackedClusterInitializationStatus struct {
	// provisioned is true once the repository can be used. It never becomes false again.
	// +optional
	Provisioned *bool `json:"provisioned,omitempty"`
}

// GitBackedCluster is the infrastructure of a headless cluster: the Git repository that is its state.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=gitbackedclusters,shortName=gbc,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type="string",JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`,description="Cluster that the infrastructure belongs to"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="The repository can be used"
// +kubebuilder:printcolumn:name="Paused",type="string",JSONPath=`.status.conditions[?(@.type=="Paused")].status`,priority=1
// +kubebuilder:printcolumn:name="Provisioned",type="boolean",JSONPath=".status.initialization.provisioned",priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type GitBackedCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the infrastructure shall be.
	// +optional
	Spec GitBackedClusterSpec `json:"spec,omitempty,omitzero"`

	// status is what was last seen of it.
	// +optional
	Status GitBackedClusterStatus `json:"status,omitempty,omitzero"`
}

// GitBackedClusterList is a list of infrastructures.
// +kubebuilder:object:root=true
type GitBackedClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []GitBackedCluster `json:"items"`
}

// GetConditions returns the conditions of the infrastructure.
func (c *GitBackedCluster) GetConditions() []metav1.Condition { return c.Status.Conditions }

// SetConditions replaces the conditions of the infrastructure.
func (c *GitBackedCluster) SetConditions(s []metav1.Condition) { c.Status.Conditions = s }
