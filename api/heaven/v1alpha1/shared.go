// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Mode says what a heaven does when its upstream is out of reach.
// +kubebuilder:validation:Enum=Available;Strict
type Mode string

const (
	// ModeAvailable goes on reading and writing; the changes are merged when the link is back.
	ModeAvailable Mode = "Available"

	// ModeStrict stops serving after the lease duration: for components with effects outside the cluster.
	ModeStrict Mode = "Strict"
)

// Argument is one command line flag.
type Argument struct {
	// name is the flag's name without leading dashes, such as "v" or "feature-gates".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9-]*$`
	Name string `json:"name"`

	// value is the flag's value. It may be empty.
	// +required
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=4096
	Value string `json:"value"`
}

// Storage says where a repository lives. Exactly one member is set.
// +kubebuilder:validation:XValidation:rule="has(self.persistentVolumeClaim) != has(self.emptyDir)",message="set exactly one of persistentVolumeClaim and emptyDir"
type Storage struct {
	// persistentVolumeClaim keeps the repository on a volume that outlives the pod.
	// +optional
	PersistentVolumeClaim *PersistentVolumeClaimStorage `json:"persistentVolumeClaim,omitempty"`

	// emptyDir keeps the repository with the pod: what was not pushed is lost when the pod leaves its node.
	// +optional
	EmptyDir *EmptyDirStorage `json:"emptyDir,omitempty"`
}

// PersistentVolumeClaimStorage describes the claim that is made for a repository.
type PersistentVolumeClaimStorage struct {
	// storageClassName names the StorageClass. Default: the host cluster's default class.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	StorageClassName *string `json:"storageClassName,omitempty"`

	// size is the size of the volume. Default: 2Gi for a heaven, 5Gi for a hub. It can grow where the class allows it; it never shrinks.
	// +optional
	Size resource.Quantity `json:"size,omitempty,omitzero"`
}

// EmptyDirStorage describes the scratch volume that is made for a repository.
type EmptyDirStorage struct {
	// sizeLimit bounds the volume. Default: no bound but the host node's disk.
	// +optional
	SizeLimit *resource.Quantity `json:"sizeLimit,omitempty"`
}

// ServiceTemplate says how a Service is reached.
// +kubebuilder:validation:XValidation:rule="!has(self.nodePort) || self.nodePort == 0 || (has(self.type) && self.type != 'ClusterIP')",message="nodePort needs type NodePort or LoadBalancer"
type ServiceTemplate struct {
	// type is ClusterIP (reached from within the host cluster), NodePort or LoadBalancer.
	// +optional
	// +kubebuilder:validation:Enum=ClusterIP;NodePort;LoadBalancer
	Type corev1.ServiceType `json:"type,omitempty"`

	// port is the Service's port. Default: 6443 for an API server, 8443 for a hub.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// nodePort asks for a certain node port. Default: the host cluster chooses one.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort int32 `json:"nodePort,omitempty"`

	// externalHost is the name or address by which clients outside the host cluster reach the Service, for instance a
	// DNS name. Default: the load balancer's address, or a host node's address for a node port.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ExternalHost string `json:"externalHost,omitempty"`

	// annotations are put on the Service, for instance for a load balancer's controller.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Images overrides where container images come from. Tags of Kubernetes components follow the version.
type Images struct {
	// registry replaces the registry and path of every image, such as "registry.example.org/mirror".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Registry string `json:"registry,omitempty"`

	// pullPolicy of all containers. Default: IfNotPresent.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	PullPolicy corev1.PullPolicy `json:"pullPolicy,omitempty"`

	// pullSecrets name Secrets with registry credentials, in the object's namespace.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	PullSecrets []LocalReference `json:"pullSecrets,omitempty"`

	// gitcd overrides the image of gitcd.
	// +optional
	Gitcd ImageReference `json:"gitcd,omitempty,omitzero"`

	// kubeAPIServer overrides the image of kube-apiserver.
	// +optional
	KubeAPIServer ImageReference `json:"kubeAPIServer,omitempty,omitzero"`

	// kubeControllerManager overrides the image of kube-controller-manager.
	// +optional
	KubeControllerManager ImageReference `json:"kubeControllerManager,omitempty,omitzero"`

	// kubeScheduler overrides the image of kube-scheduler.
	// +optional
	KubeScheduler ImageReference `json:"kubeScheduler,omitempty,omitzero"`
}

// ImageReference overrides parts of an image's name.
// +kubebuilder:validation:MinProperties=1
type ImageReference struct {
	// repository is the image's name without tag, such as "registry.k8s.io/kube-apiserver".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Repository string `json:"repository,omitempty"`

	// tag of the image. Default: the Kubernetes version, or this provider's for gitcd.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Tag string `json:"tag,omitempty"`
}

// LocalReference names an object in the same namespace.
type LocalReference struct {
	// name of the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}
