// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ForgeType names a kind of Git host.
// +kubebuilder:validation:Enum=None;Git
type ForgeType string

const (
	// ForgeNone means that there is no Git host: the hub's volume is the repository.
	ForgeNone ForgeType = "None"

	// ForgeGit is a repository at any Git host that speaks smart HTTPS. It exists already; the hub mirrors to it.
	ForgeGit ForgeType = "Git"
)

// Forge is the Git host that keeps the durable repository. Type decides which other member is read.
// +union
// +kubebuilder:validation:XValidation:rule="has(self.git) == (self.type == 'Git')",message="git goes with type Git, and type Git with git"
type Forge struct {
	// type of the Git host. None: the volume of the cluster's hub is the repository.
	// +unionDiscriminator
	// +required
	// +kubebuilder:default=None
	Type ForgeType `json:"type,omitempty"`

	// git is a repository at any Git host.
	// +optional
	Git *GitForge `json:"git,omitempty"`
}

// GitForge is a repository at any Git host. It is empty, or of this cluster's own: nothing else is touched.
type GitForge struct {
	// url of the repository, https, without user and password.
	// +required
	// +kubebuilder:validation:MinLength=10
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^https://[^@?#\s]+$`
	URL string `json:"url,omitempty"`

	// credentialsSecretRef names the Secret with the keys username and password; a token is a password. Default: none are shown.
	// +optional
	CredentialsSecretRef LocalReference `json:"credentialsSecretRef,omitempty,omitzero"`

	// caSecretRef names the Secret with the key ca.crt, the authorities that the host's certificate must be signed by.
	// Default: those of the image.
	// +optional
	CASecretRef LocalReference `json:"caSecretRef,omitempty,omitzero"`

	// pushIntervalSeconds is the least time between two pushes. Default: 10, which GitHub asks for.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	PushIntervalSeconds *int32 `json:"pushIntervalSeconds,omitempty"`

	// webhook has the hub listen to the forge, which then is looked at as soon as somebody pushes there. Absent: nobody
	// listens, and the forge is looked at once a minute.
	// +optional
	Webhook ForgeWebhook `json:"webhook,omitempty,omitzero"`
}

// ForgeWebhook is a port of the hub at which a forge says that something was pushed. It speaks TLS, and believes nothing
// but that it is worth a look.
type ForgeWebhook struct {
	// secretRef names the Secret with the key secret: what GitHub, Gitea and Forgejo sign with, and GitLab sends.
	// +required
	SecretRef LocalReference `json:"secretRef,omitempty,omitzero"`

	// servingSecretRef names the Secret (tls.crt, tls.key) with the certificate that the forge sees. Default: the hub's own,
	// signed by <cluster>-git-ca, which the forge is to trust.
	// +optional
	ServingSecretRef LocalReference `json:"servingSecretRef,omitempty,omitzero"`

	// port of the hub's Service. Default: 8444.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// nodePort asks for a certain node port, if the hub's Service has any. Default: the host cluster chooses one.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort int32 `json:"nodePort,omitempty"`

	// externalURL is what the forge calls if something stands before the hub, such as an Ingress that leads to the port
	// "hooks" of its Service. Default: made of the hub's external address.
	// +optional
	// +kubebuilder:validation:MinLength=10
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`^https://[^@?#\s]+$`
	ExternalURL string `json:"externalURL,omitempty"`
}

// DeletionPolicy says what becomes of a repository whose object is deleted.
// +kubebuilder:validation:Enum=Retain;Delete
type DeletionPolicy string

const (
	// DeletionRetain leaves the repository and its history.
	DeletionRetain DeletionPolicy = "Retain"

	// DeletionDelete deletes the repository with its history.
	DeletionDelete DeletionPolicy = "Delete"
)

// GitRepositorySpec is what a repository shall be.
type GitRepositorySpec struct {
	// clusterName names the Cluster whose history the repository keeps. It never changes.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName never changes; delete the repository and create another"
	ClusterName string `json:"clusterName,omitempty"`

	// forge is the Git host. Default: none.
	// +optional
	// +kubebuilder:default={type: None}
	Forge Forge `json:"forge,omitempty,omitzero"`

	// deletionPolicy says what becomes of the history when this object is deleted. Default: Delete. A repository at a
	// host of type Git is not ours to delete: it stays in either case.
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// GitRepositoryStatus is what was last seen of a repository.
type GitRepositoryStatus struct {
	// conditions of the repository: Ready, Deleting.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// url by which Git reaches the repository at its forge. Empty without a forge.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	URL string `json:"url,omitempty"`

	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// GitRepository is the durable home of a headless cluster's history.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=gitrepositories,shortName=hrepo,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:annotations="clusterctl.cluster.x-k8s.io/skip-crd-name-preflight-check="
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type="string",JSONPath=".spec.clusterName",description="Cluster whose history is kept"
// +kubebuilder:printcolumn:name="Forge",type="string",JSONPath=".spec.forge.type",description="Kind of Git host"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="The repository can be used"
// +kubebuilder:printcolumn:name="URL",type="string",JSONPath=".status.url",priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type GitRepository struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the repository shall be.
	// +required
	Spec GitRepositorySpec `json:"spec,omitempty,omitzero"`

	// status is what was last seen of it.
	// +optional
	Status GitRepositoryStatus `json:"status,omitempty,omitzero"`
}

// GitRepositoryList is a list of repositories.
// +kubebuilder:object:root=true
type GitRepositoryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []GitRepository `json:"items"`
}

// GetConditions returns the conditions of the repository.
func (r *GitRepository) GetConditions() []metav1.Condition { return r.Status.Conditions }

// SetConditions replaces the conditions of the repository.
func (r *GitRepository) SetConditions(c []metav1.Condition) { r.Status.Conditions = c }
