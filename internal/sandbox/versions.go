// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

// The versions that are built from the modules below build/, and the images
// they are imported as.
const (
	KubernetesVersion  = "v1.36.3"
	ClusterAPIVersion  = "v1.14.2"
	CertManagerVersion = "v1.21.2"
	CoreDNSVersion     = "v1.15.0"
	AgnhostVersion     = "2.63.0"
	Version            = "v0.1.0" // of this project

	ImageAPIServer         = "registry.k8s.io/kube-apiserver:" + KubernetesVersion
	ImageControllerManager = "registry.k8s.io/kube-controller-manager:" + KubernetesVersion
	ImageScheduler         = "registry.k8s.io/kube-scheduler:" + KubernetesVersion
	ImageProxy             = "registry.k8s.io/kube-proxy:" + KubernetesVersion
	ImagePause             = "registry.k8s.io/pause:3.10"
	ImageCoreDNS           = "registry.k8s.io/coredns/coredns:" + CoreDNSVersion
	ImageAgnhost           = "registry.k8s.io/e2e-test-images/agnhost:" + AgnhostVersion
	ImageClusterAPI        = "registry.k8s.io/cluster-api/cluster-api-controller:" + ClusterAPIVersion
	ImageCertManager       = "ghcr.io/trishanku-org/cert-manager:" + CertManagerVersion
	ImageGitcd             = "ghcr.io/trishanku-org/gitcd:" + Version
	ImageManager           = "ghcr.io/trishanku-org/headless-manager:" + Version
)
