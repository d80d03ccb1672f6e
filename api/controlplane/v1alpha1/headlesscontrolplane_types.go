// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// HeadlessControlPlaneSpec is what a headless control plane shall be. Networks come from Cluster.spec.clusterNetwork.
type HeadlessControlPlaneSpec struct {
	// version is the Kubernetes version, such as v1.36.3.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// controlPlaneEndpoint is where people reach the API server. If it is not set it becomes the address of the front door's Service.
	// +optional
	ControlPlaneEndpoint clusterv1.APIEndpoint `json:"controlPlaneEndpoint,omitempty,omitzero"`

	// HeadlessControlPlaneConfiguration is what a template may set as well.
	HeadlessControlPlaneConfiguration `json:",inline"`
}

// HeadlessControlPlaneConfiguration is the part of the spec that does not depend on the one cluster.
type HeadlessControlPlaneConfiguration struct {
	// repositoryRef names the GitRepository that keeps the history. Default: <cluster>, which GitBackedCluster makes.
	// +optional
	RepositoryRef heavenv1.LocalReference `json:"repositoryRef,omitempty,omitzero"`

	// components configures the heavens.
	// +optional
	Components Components `json:"components,omitempty,omitzero"`

	// merge configures the hub.
	// +optional
	Merge MergeConfiguration `json:"merge,omitempty,omitzero"`

	// storage of each heaven's repository. Default: a volume of 2Gi of the default storage class.
	// +optional
	Storage *heavenv1.Storage `json:"storage,omitempty"`

	// encryption of Secrets before they reach any Git object. It cannot be switched off.
	// +optional
	Encryption Encryption `json:"encryption,omitempty,omitzero"`

	// images overrides where container images come from.
	// +optional
	Images heavenv1.Images `json:"images,omitempty,omitzero"`
}

// Components configures the heavens of a control plane.
// +kubebuilder:validation:MinProperties=1
type Components struct {
	// apiServer configures the kube-apiservers.
	// +optional
	APIServer APIServer `json:"apiServer,omitempty,omitzero"`

	// controllerManager configures kube-controller-manager.
	// +optional
	ControllerManager Component `json:"controllerManager,omitempty,omitzero"`

	// scheduler configures kube-scheduler.
	// +optional
	Scheduler Component `json:"scheduler,omitempty,omitzero"`

	// additional components run beside a kube-apiserver of their own, unmodified.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Additional []AdditionalComponent `json:"additional,omitempty"`
}

// APIServer configures the kube-apiservers of a control plane.
type APIServer struct {
	// extraArgs are further flags of every kube-apiserver of the cluster. Flags that heavens depend on cannot be set.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=value
	// +kubebuilder:validation:MaxItems=100
	ExtraArgs []heavenv1.Argument `json:"extraArgs,omitempty"`

	// resources of each kube-apiserver container.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`

	// service exposes the front door. Default: a ClusterIP with port 6443.
	// +optional
	Service heavenv1.ServiceTemplate `json:"service,omitempty,omitzero"`

	// certSANs are further names and addresses in the front door's serving certificate.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	CertSANs []string `json:"certSANs,omitempty"`
}

// Component configures one of Kubernetes' own components.
type Component struct {
	// disabled leaves the component out, for clusters that bring their own. Default: false.
	// +optional
	Disabled *bool `json:"disabled,omitempty"`

	// mode says what the component's heaven does when the hub is out of reach. Default: Available.
	// +optional
	Mode heavenv1.Mode `json:"mode,omitempty"`

	// extraArgs are further flags of the component.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=value
	// +kubebuilder:validation:MaxItems=100
	ExtraArgs []heavenv1.Argument `json:"extraArgs,omitempty"`

	// resources of the component's container.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`
}

// AdditionalComponent is a component of the user's.
type AdditionalComponent struct {
	// name of the component; its branch is heavens/<name>. Names of Kubernetes' own components, and hub, are taken.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// mode says what the component's heaven does when the hub is out of reach. Default: Available.
	// +optional
	Mode heavenv1.Mode `json:"mode,omitempty"`

	// kubeconfig says who the component is and where it finds its kubeconfig.
	// +optional
	Kubeconfig AdditionalKubeconfig `json:"kubeconfig,omitempty,omitzero"`

	// template is the component's pod. Its containers, init containers and volumes become part of the heaven's pod.
	// +required
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	Template corev1.PodTemplateSpec `json:"template,omitempty,omitzero"`
}

// AdditionalKubeconfig says who an additional component is and where it finds its kubeconfig.
// +kubebuilder:validation:MinProperties=1
type AdditionalKubeconfig struct {
	// path of the kubeconfig file in each container. Default: /etc/trishanku/kubeconfig.
	// +optional
	// +kubebuilder:validation:Pattern=`^/[^:]+$`
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path,omitempty"`

	// user is the user name in the component's client certificate. Default: headless:<name>. It has no rights but those
	// that RBAC objects in the headless cluster give it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	User string `json:"user,omitempty"`

	// groups are the groups in the component's client certificate.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Groups []string `json:"groups,omitempty"`
}

// MergeConfiguration configures the hub of a control plane.
// +kubebuilder:validation:MinProperties=1
type MergeConfiguration struct {
	// MergeRules say what the hub makes of the branches' changes.
	heavenv1.MergeRules `json:",inline"`

	// service exposes the hub to heavens and nodes. Default: a NodePort with port 8443.
	// +optional
	Service heavenv1.ServiceTemplate `json:"service,omitempty,omitzero"`

	// storage of the hub's repository. Without a forge this volume is the durable history. Default: a volume of 5Gi of
	// the default storage class.
	// +optional
	Storage *heavenv1.Storage `json:"storage,omitempty"`

	// resources of the hub's container.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`
}

// EncryptionProvider names a provider of kube-apiserver's EncryptionConfiguration.
// +kubebuilder:validation:Enum=secretbox;aescbc
type EncryptionProvider string

const (
	// EncryptionSecretbox encrypts with XSalsa20 and Poly1305.
	EncryptionSecretbox EncryptionProvider = "secretbox"

	// EncryptionAESCBC encrypts with AES-CBC and PKCS#7 padding.
	EncryptionAESCBC EncryptionProvider = "aescbc"
)

// Encryption says how Secrets are encrypted before they are stored.
// +kubebuilder:validation:MinProperties=1
type Encryption struct {
	// provider of the encryption. Default: secretbox.
	// +optional
	Provider EncryptionProvider `json:"provider,omitempty"`
}

// HeadlessControlPlaneStatus is what was last seen of a control plane.
type HeadlessControlPlaneStatus struct {
	// conditions of the control plane: Available, CertificatesAvailable, HubAvailable, APIServerHealthy,
	// ControllerManagerHealthy, SchedulerHealthy, ComponentsHealthy, Synced, ConflictFree, QuarantineEmpty,
	// ForgeInStep, RollingOut, Deleting, Paused.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// initialization tells Cluster API how far the first start is.
	// +optional
	Initialization HeadlessControlPlaneInitializationStatus `json:"initialization,omitempty,omitzero"`

	// versions of Kubernetes that run, oldest first.
	// +optional
	// +listType=map
	// +listMapKey=version
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Versions []clusterv1.StatusVersion `json:"versions,omitempty"`

	// externalManagedControlPlane is always true: there are no control plane Machines.
	// +optional
	ExternalManagedControlPlane *bool `json:"externalManagedControlPlane,omitempty"`

	// MergeFindings are what merges have found that a person may want to see.
	heavenv1.MergeFindings `json:",inline"`

	// components sums up the heavens.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=100
	Components []ComponentStatus `json:"components,omitempty"`

	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// HeadlessControlPlaneInitializationStatus tells Cluster API how far the first start is.
// +kubebuilder:validation:MinProperties=1
type HeadlessControlPlaneInitializationStatus struct {
	// controlPlaneInitialized is true once the API server has accepted requests. It never becomes false again.
	// +optional
	ControlPlaneInitialized *bool `json:"controlPlaneInitialized,omitempty"`
}

// ComponentStatus sums up one heaven.
type ComponentStatus struct {
	// name of the component.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// branch of the component.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Branch string `json:"branch,omitempty"`

	// head is the last commit of the branch.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Head string `json:"head,omitempty"`

	// epoch is the fencing number under which the branch is written.
	// +optional
	Epoch *int64 `json:"epoch,omitempty"`

	// version that the heaven's kube-apiserver has.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// ready says whether the heaven is Available. Absent: not known.
	// +optional
	Ready *bool `json:"ready,omitempty"`

	// message says what the heaven waits for.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// HeadlessControlPlane is the control plane of a Cluster without a central API server: each component runs beside its
// own kube-apiserver, stored in Git, and the cluster emerges from the merges.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=headlesscontrolplanes,shortName=hcp,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type="string",JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`,description="Cluster that the control plane belongs to"
// +kubebuilder:printcolumn:name="Available",type="string",JSONPath=`.status.conditions[?(@.type=="Available")].status`,description="API server answers and components work"
// +kubebuilder:printcolumn:name="Synced",type="string",JSONPath=`.status.conditions[?(@.type=="Synced")].status`,description="Everything acknowledged has reached the hub"
// +kubebuilder:printcolumn:name="Conflicts",type="integer",JSONPath=".status.conflicts.open",description="Conflicts that nobody has looked at"
// +kubebuilder:printcolumn:name="Quarantine",type="integer",JSONPath=".status.quarantine.waiting",description="Changes that wait for a person"
// +kubebuilder:printcolumn:name="RPO",type="date",JSONPath=".status.forge.oldestUnmirrored",description="Age of the oldest change that the forge lacks; empty if it lacks nothing"
// +kubebuilder:printcolumn:name="Endpoint",type="string",JSONPath=".spec.controlPlaneEndpoint.host",description="Host of the API server"
// +kubebuilder:printcolumn:name="Paused",type="string",JSONPath=`.status.conditions[?(@.type=="Paused")].status`,priority=1
// +kubebuilder:printcolumn:name="Initialized",type="boolean",JSONPath=".status.initialization.controlPlaneInitialized",priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Version",type="string",JSONPath=".spec.version",description="Kubernetes version"
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Available")].message`,priority=1
type HeadlessControlPlane struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the control plane shall be.
	// +required
	Spec HeadlessControlPlaneSpec `json:"spec,omitempty,omitzero"`

	// status is what was last seen of it.
	// +optional
	Status HeadlessControlPlaneStatus `json:"status,omitempty,omitzero"`
}

// HeadlessControlPlaneList is a list of control planes.
// +kubebuilder:object:root=true
type HeadlessControlPlaneList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []HeadlessControlPlane `json:"items"`
}

// GetConditions returns the conditions of the control plane.
func (c *HeadlessControlPlane) GetConditions() []metav1.Condition { return c.Status.Conditions }

// SetConditions replaces the conditions of the control plane.
func (c *HeadlessControlPlane) SetConditions(s []metav1.Condition) { c.Status.Conditions = s }
