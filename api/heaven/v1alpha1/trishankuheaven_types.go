// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TrishankuHeavenSpec is what a heaven shall be.
// +kubebuilder:validation:XValidation:rule="has(self.component) || self.branch == 'heavens/apiserver'",message="a heaven without a component is the front door: its branch is heavens/apiserver"
type TrishankuHeavenSpec struct {
	// clusterName names the Cluster that this heaven is a part of. It never changes.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName never changes; delete the heaven and create another"
	ClusterName string `json:"clusterName,omitempty"`

	// branch is the heaven's line of history: "heavens/<component>". It never changes.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^heavens/[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="branch never changes; delete the heaven and create another"
	Branch string `json:"branch,omitempty"`

	// version is the Kubernetes version of the heaven's kube-apiserver, such as v1.36.3.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^v[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]*)?$`
	Version string `json:"version,omitempty"`

	// component runs beside the heaven's kube-apiserver. Without one the heaven is the front door.
	// +optional
	Component *HeavenComponent `json:"component,omitempty"`

	// apiServer configures the heaven's own kube-apiserver.
	// +optional
	APIServer HeavenAPIServer `json:"apiServer,omitempty,omitzero"`

	// gitcd configures the heaven's store.
	// +optional
	Gitcd HeavenGitcd `json:"gitcd,omitempty,omitzero"`

	// policy says how the heaven's branch meets main. It counts more than what the AutomatedMerge says of the branch.
	// +optional
	Policy BranchPolicy `json:"policy,omitempty,omitzero"`

	// upstream is the hub that the heaven exchanges commits with.
	// +required
	Upstream Upstream `json:"upstream,omitempty,omitzero"`

	// certificates names the Secrets that the heaven's own certificates are made from.
	// +optional
	Certificates HeavenCertificates `json:"certificates,omitempty,omitzero"`

	// storage of the heaven's repository. Default: a volume of 2Gi of the default storage class.
	// +optional
	Storage *Storage `json:"storage,omitempty"`

	// mode says what the heaven does when the upstream is out of reach. Default: Available.
	// +optional
	// +kubebuilder:default=Available
	Mode Mode `json:"mode,omitempty"`

	// genesis marks the one heaven that creates the cluster's first objects: it does not push before its kube-apiserver
	// is ready, and all others wait until main was made from it. Default: false.
	// +optional
	Genesis *bool `json:"genesis,omitempty"`

	// images overrides where container images come from.
	// +optional
	Images Images `json:"images,omitempty,omitzero"`
}

// HeavenComponent is an unmodified program that talks to the heaven's kube-apiserver.
type HeavenComponent struct {
	// name of the component, such as kube-scheduler. It is the last part of the branch and the author of the commits.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// template is the component's pod. Its containers, init containers and volumes become part of the heaven's pod; its
	// labels and annotations are put on it. Names beginning with "gitcd" or "kube-apiserver" are the heaven's own.
	// +required
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	Template corev1.PodTemplateSpec `json:"template,omitempty,omitzero"`

	// kubeconfig is the component's way to the heaven's kube-apiserver.
	// +required
	Kubeconfig ComponentKubeconfig `json:"kubeconfig,omitempty,omitzero"`
}

// ComponentKubeconfig says who the component is and where it finds its kubeconfig.
type ComponentKubeconfig struct {
	// path of the kubeconfig file in each container of the component. Only this file is mounted, nothing is hidden.
	// +optional
	// +kubebuilder:default="/etc/trishanku/kubeconfig"
	// +kubebuilder:validation:Pattern=`^/[^:]+$`
	// +kubebuilder:validation:MaxLength=1024
	Path string `json:"path,omitempty"`

	// user is the user name in the component's client certificate, such as system:kube-scheduler.
	// +required
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

// EndpointReconciler says who keeps the endpoints of the Service default/kubernetes.
// +kubebuilder:validation:Enum=None;Lease
type EndpointReconciler string

const (
	// EndpointReconcilerNone leaves the endpoints alone: for every heaven but the front door.
	EndpointReconcilerNone EndpointReconciler = "None"

	// EndpointReconcilerLease writes the API server's advertised address: for the front door.
	EndpointReconcilerLease EndpointReconciler = "Lease"
)

// HeavenAPIServer configures a heaven's kube-apiserver.
type HeavenAPIServer struct {
	// endpointReconciler says whether this API server keeps the endpoints of Service default/kubernetes. Default: None.
	// +optional
	// +kubebuilder:default=None
	EndpointReconciler EndpointReconciler `json:"endpointReconciler,omitempty"`

	// serviceCIDRs are the ranges of Service addresses, one or one of each family. Default: 10.96.0.0/16.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=64
	ServiceCIDRs []string `json:"serviceCIDRs,omitempty"`

	// serviceAccountIssuer is the issuer of service account tokens; the same in every heaven of a cluster, and no address
	// of a pod. Default: https://kubernetes.default.svc.cluster.local.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ServiceAccountIssuer string `json:"serviceAccountIssuer,omitempty"`

	// audiences are the audiences that tokens are accepted for. Default: the issuer.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=512
	Audiences []string `json:"audiences,omitempty"`

	// advertisedEndpoint is the address by which people reach this API server: it is advertised, and a name in the serving
	// certificate. Set for the front door.
	// +optional
	AdvertisedEndpoint Endpoint `json:"advertisedEndpoint,omitempty,omitzero"`

	// certSANs are further names and addresses in the serving certificate.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	CertSANs []string `json:"certSANs,omitempty"`

	// extraArgs are further flags of kube-apiserver. Flags that the heaven depends on cannot be set.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +listMapKey=value
	// +kubebuilder:validation:MaxItems=100
	ExtraArgs []Argument `json:"extraArgs,omitempty"`

	// resources of the kube-apiserver container.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`

	// service exposes this API server. Absent: it is reached from within its pod only.
	// +optional
	Service *ServiceTemplate `json:"service,omitempty"`
}

// HeavenGitcd configures a heaven's gitcd.
type HeavenGitcd struct {
	// grains say, by key prefix, how finely history is kept. The longest prefix counts. They are laid over gitcd's own
	// choice for Kubernetes.
	// +optional
	// +listType=map
	// +listMapKey=prefix
	// +kubebuilder:validation:MaxItems=64
	Grains []Grain `json:"grains,omitempty"`

	// resources of the gitcd container.
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty,omitzero"`
}

// Grain says how finely the history below a key prefix is kept.
type Grain struct {
	// prefix of keys, such as /registry/leases/.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Prefix string `json:"prefix,omitempty"`

	// grain is Full (every change), Batch (changes joined into periodic commits) or Local (durable here, never in Git).
	// +required
	// +kubebuilder:validation:Enum=Full;Batch;Local
	Grain string `json:"grain,omitempty"`
}

// Upstream is the hub that a heaven pushes to and fetches from.
type Upstream struct {
	// url of the repository at the hub, such as https://blue-hub.default.svc:8443.
	// +required
	// +kubebuilder:validation:Pattern=`^https://[^\s]+$`
	// +kubebuilder:validation:MaxLength=1024
	URL string `json:"url,omitempty"`

	// mainBranch is the branch that all heavens merge back. Default: main.
	// +optional
	// +kubebuilder:default=main
	// +kubebuilder:validation:MaxLength=128
	MainBranch string `json:"mainBranch,omitempty"`
}

// HeavenCertificates names Secrets in the heaven's namespace. Each has the keys tls.crt and tls.key unless said
// otherwise. Defaults follow Cluster API's names, from spec.clusterName.
type HeavenCertificates struct {
	// clusterCA signs the heaven's serving and client certificates. Default: <cluster>-ca.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ClusterCA string `json:"clusterCA,omitempty"`

	// frontProxyCA signs the aggregation layer's client certificate. Default: <cluster>-proxy.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	FrontProxyCA string `json:"frontProxyCA,omitempty"`

	// serviceAccount is the key pair of service account tokens; tls.crt holds the public key. Default: <cluster>-sa.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServiceAccount string `json:"serviceAccount,omitempty"`

	// gitCA signs the certificates between hub and heavens; a client's common name is its branch. Default: <cluster>-git-ca.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	GitCA string `json:"gitCA,omitempty"`

	// encryption holds kube-apiserver's EncryptionConfiguration under the key config.yaml. Default: <cluster>-encryption.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Encryption string `json:"encryption,omitempty"`
}

// Endpoint is a host and a port.
// +kubebuilder:validation:MinProperties=1
type Endpoint struct {
	// host is a name or an address.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Host string `json:"host,omitempty"`

	// port of the host.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}

// TrishankuHeavenStatus is what was last seen of a heaven.
type TrishankuHeavenStatus struct {
	// conditions of the heaven: Available, Progressing, CertificatesReady, Synced, Deleting.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=32
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// head is the last commit of the branch.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Head string `json:"head,omitempty"`

	// epoch is the fencing number under which the heaven writes its branch.
	// +optional
	Epoch *int64 `json:"epoch,omitempty"`

	// holder identifies the writer that has the epoch.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Holder string `json:"holder,omitempty"`

	// endpoint by which this API server is reached from outside its pod, if it has a Service.
	// +optional
	Endpoint Endpoint `json:"endpoint,omitempty,omitzero"`

	// version that the running kube-apiserver has.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	// +kubebuilder:validation:Minimum=1
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// TrishankuHeaven is one component together with its own kube-apiserver and gitcd.
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=trishankuheavens,shortName=heaven,scope=Namespaced,categories=cluster-api;headless
// +kubebuilder:metadata:annotations="clusterctl.cluster.x-k8s.io/skip-crd-name-preflight-check="
// +kubebuilder:storageversion
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type="string",JSONPath=".spec.clusterName",description="Cluster that the heaven is a part of"
// +kubebuilder:printcolumn:name="Available",type="string",JSONPath=`.status.conditions[?(@.type=="Available")].status`,description="API server and component work"
// +kubebuilder:printcolumn:name="Synced",type="string",JSONPath=`.status.conditions[?(@.type=="Synced")].status`,description="Everything acknowledged has reached the upstream"
// +kubebuilder:printcolumn:name="Branch",type="string",JSONPath=".spec.branch"
// +kubebuilder:printcolumn:name="Head",type="string",JSONPath=".status.head",priority=1
// +kubebuilder:printcolumn:name="Epoch",type="integer",JSONPath=".status.epoch"
// +kubebuilder:printcolumn:name="Version",type="string",JSONPath=".spec.version"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Message",type="string",JSONPath=`.status.conditions[?(@.type=="Available")].message`,priority=1
type TrishankuHeaven struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what the heaven shall be.
	// +required
	Spec TrishankuHeavenSpec `json:"spec,omitempty,omitzero"`

	// status is what was last seen of it.
	// +optional
	Status TrishankuHeavenStatus `json:"status,omitempty,omitzero"`
}

// TrishankuHeavenList is a list of heavens.
// +kubebuilder:object:root=true
type TrishankuHeavenList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	// items of the list.
	Items []TrishankuHeaven `json:"items"`
}

// GetConditions returns the conditions of the heaven.
func (h *TrishankuHeaven) GetConditions() []metav1.Condition { return h.Status.Conditions }

// SetConditions replaces the conditions of the heaven.
func (h *TrishankuHeaven) SetConditions(c []metav1.Condition) { h.Status.Conditions = c }
