// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// HeadlessConfigSpec says how a machine becomes a node.
type HeadlessConfigSpec struct {
	// labels of the Node. The kubelet cannot set labels below kubernetes.io/ and k8s.io/ but those it is allowed.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// taints that the Node is registered with.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Taints []corev1.Taint `json:"taints,omitempty"`

	// kubelet configures the kubelet.
	// +optional
	Kubelet Kubelet `json:"kubelet,omitempty,omitzero"`

	// files are written before any command runs.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MaxItems=100
	Files []File `json:"files,omitempty"`

	// preCommands run, in order, before the node's services start. A failing command stops the bootstrap.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=10240
	PreCommands []string `json:"preCommands,omitempty"`

	// postCommands run, in order, after the node's services have started.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=10240
	PostCommands []string `json:"postCommands,omitempty"`
}

// Kubelet configures the kubelet.
// +kubebuilder:validation:MinProperties=1
type Kubelet struct {
	// extraArgs are further flags of the kubelet. Flags that the node depends on cannot be set.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=value
	// +kubebuilder:validation:MaxItems=100
	ExtraArgs []heavenv1.Argument `json:"extraArgs,omitempty"`

	// config is laid over the node's KubeletConfiguration (kubelet.config.k8s.io/v1beta1) as a JSON merge patch.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	Config *runtime.RawExtension `json:"config,omitempty"`
}

// FileEncoding says how a file's content is written down.
// +kubebuilder:validation:Enum=base64
type FileEncoding string

// FileBase64 says that a file's content is written down in base64.
const FileBase64 FileEncoding = "base64"

// File is written to the machine. Exactly one of content and contentFrom is set.
// +kubebuilder:validation:XValidation:rule="has(self.content) != has(self.contentFrom)",message="set exactly one of content and contentFrom"
type File struct {
	// path of the file on the machine.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^/.*[^/]$`
	Path string `json:"path,omitempty"`

	// owner of the file, such as "root:root". Default: root:root.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Owner string `json:"owner,omitempty"`

	// permissions of the file, in octal. Default: 0644.
	// +optional
	// +kubebuilder:validation:Pattern=`^0?[0-7]{3,4}$`
	// +kubebuilder:validation:MaxLength=5
	Permissions string `json:"permissions,omitempty"`

	// encoding of content. Default: plain text.
	// +optional
	Encoding FileEncoding `json:"encoding,omitempty"`

	// content of the file.
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Content *string `json:"content,omitempty"`

	// contentFrom is where the content is read from when the user data is written.
	// +optional
	ContentFrom *FileSource `json:"contentFrom,omitempty"`
}

// FileSource is where a file's content is read from.
type FileSource struct {
	// secret in the config's namespace.
	// +required
	Secret SecretKeyReference `json:"secret,omitempty,omitzero"`
}

// SecretKeyReference names a key of a Secret in the same namespace.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key in the Secret's data.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// HeadlessConfigStatus is what was last seen of a config.
type HeadlessConfigStatus struct {
	// conditions of the config: Ready, DataSecretAvailable, Deleting, Paused.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// initialization tells Cluster API how far the first start is.
	// +optional
	Initialization HeadlessConfigInitializationStatus `json:"initialization,omitempty,omitzero"`

	// dataSecretName names the Secret with the user data.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	DataSecretName string `json:"dataSecretName,omitempty"`

	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// HeadlessConfigInitializationStatus tells Cluster API how far the first start is.
// +kubebuilder:validation:MinProperties=1
type HeadlessConfigInitializationStatus struct {
	// dataSecretCreated is true once the Secret with the user data exists. It never becomes false again.
	// +optional
	DataSecretCreated *bool `json:"dataSecretCreated,omitempty"`
}

// HeadlessConfig says how one machine becomes a node of a headless cluster.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=headlessconfigs,shortName=hconf,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:labels="cluster.x-k8s.io/v1beta2=v1alpha1"
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type="string",JSONPath=`.metadata.labels['cluster\.x-k8s\.io/cluster-name']`,description="Cluster that the machine joins"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="The user data is written"
// +kubebuilder:printcolumn:name="Data Secret",type="string",JSONPath=".status.dataSecretName",description="Secret with the user data"
// +kubebuilder:printcolumn:name="Paused",type="string",JSONPath=`.status.conditions[?(@.type=="Paused")].status`,priority=1
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
type HeadlessConfig struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says how the machine becomes a node.
	// +optional
	Spec HeadlessConfigSpec `json:"spec,omitempty,omitzero"`

	// status is what was last seen of it.
	// +optional
	Status HeadlessConfigStatus `json:"status,omitempty,omitzero"`
}

// HeadlessConfigList is a list of configs.
// +kubebuilder:object:root=true
type HeadlessConfigList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []HeadlessConfig `json:"items"`
}

// GetConditions returns the conditions of the config.
func (c *HeadlessConfig) GetConditions() []metav1.Condition { return c.Status.Conditions }

// SetConditions replaces the conditions of the config.
func (c *HeadlessConfig) SetConditions(s []metav1.Condition) { c.Status.Conditions = s }
