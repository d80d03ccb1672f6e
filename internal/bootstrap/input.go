// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netutils "k8s.io/utils/net"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// Input is everything that a node's user data depends on.
type Input struct {
	// Cluster is the name of the Cluster, NodeName that of the Node, and so of the branch.
	Cluster, NodeName string
	// ProviderID is what Cluster API recognises the Node by. Empty: the machine's provider names it by its own means.
	ProviderID string
	// Version is the Kubernetes version of the node, such as v1.36.3.
	Version string
	// Network is that of the cluster.
	Network Network
	// Hub is the AutomatedMerge's server.
	Hub Hub
	// Shared is what every kube-apiserver of the cluster has.
	Shared Shared
	// Certificates are the files that the wishes of Certificates became.
	Certificates map[string][]byte

	// Labels, Taints, KubeletArgs and KubeletConfig are the user's, for kubelet and Node.
	Labels      map[string]string
	Taints      []corev1.Taint
	KubeletArgs []heavenv1.Argument
	// KubeletConfig is a JSON merge patch of the KubeletConfiguration.
	KubeletConfig []byte
	// Files are written beside ours, PreCommands run before the services start, PostCommands after.
	Files                     []File
	PreCommands, PostCommands []string
}

// Network is the network of a cluster.
type Network struct {
	ServiceCIDRs, PodCIDRs []string
	ServiceDomain          string
	// Issuer of the service accounts' tokens.
	Issuer string
}

// Hub says how the hub is reached.
type Hub struct {
	URL        string
	MainBranch string
}

// Shared is the same in every heaven of a cluster.
type Shared struct {
	// ClusterCA, FrontProxyCA and GitCA are the certificates of the authorities; their keys stay where they are.
	ClusterCA, FrontProxyCA, GitCA []byte
	// ServiceAccount is the key pair of the service accounts' tokens: a pod's token comes from its node's own heaven.
	ServiceAccount pki.KeyPair
	// Encryption is the EncryptionConfiguration.
	Encryption []byte
}

// File is a file of the user's.
type File struct {
	Path, Owner, Permissions string
	Content                  []byte
}

// Branch is the node's branch.
func (in *Input) Branch() string { return heavenv1.NodeBranchPrefix + in.NodeName }

// hubHost is the host in the hub's URL.
func (in *Input) hubHost() (string, error) {
	u, err := url.Parse(in.Hub.URL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" {
		return "", fmt.Errorf("read URL %q of the hub: it must look like https://192.0.2.1:8443", in.Hub.URL)
	}
	return u.Hostname(), nil
}

// serviceAddress returns the n-th address of the first range of Services.
func (in *Input) serviceAddress(n int) (string, error) {
	if len(in.Network.ServiceCIDRs) == 0 {
		return "", fmt.Errorf("read service range of cluster %s: there is none", in.Cluster)
	}
	_, network, err := netutils.ParseCIDRSloppy(in.Network.ServiceCIDRs[0])
	if err != nil {
		return "", fmt.Errorf("read service range: %w (a range looks like 10.96.0.0/16)", err)
	}
	if network.IP.To4() == nil {
		return "", fmt.Errorf("take addresses of service range %s: nodes need an IPv4 range first", network)
	}
	var ip net.IP
	if ip, err = netutils.GetIndexedIP(network, n); err != nil {
		return "", fmt.Errorf("take address %d of service range %s: %w (make the range larger)", n, network, err)
	}
	return ip.String(), nil
}

// validate refuses what no user data can be written for.
func (in *Input) validate() error {
	for _, f := range []struct{ name, value string }{
		{"cluster name", in.Cluster},
		{"node name", in.NodeName},
		{"Kubernetes version", in.Version},
		{"service domain", in.Network.ServiceDomain},
		{"issuer", in.Network.Issuer},
	} {
		if f.value == "" || strings.ContainsAny(f.value, " \t\n'\"\\$%") {
			return fmt.Errorf("write user data: %s %q is empty or not plain", f.name, f.value)
		}
	}
	if len(in.Network.PodCIDRs) == 0 {
		return fmt.Errorf("write user data: cluster %s has no pod range", in.Cluster)
	}
	if strings.ContainsAny(in.ProviderID, "\n@") {
		return fmt.Errorf("write user data: provider ID %q is not plain", in.ProviderID)
	}
	if _, err := in.hubHost(); err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		value []byte
	}{
		{"cluster authority", in.Shared.ClusterCA},
		{"front proxy authority", in.Shared.FrontProxyCA},
		{"Git authority", in.Shared.GitCA},
		{"service account public key", in.Shared.ServiceAccount.Cert},
		{"service account key", in.Shared.ServiceAccount.Key},
		{"encryption configuration", in.Shared.Encryption},
	} {
		if len(f.value) == 0 {
			return fmt.Errorf("write user data: the %s is missing", f.name)
		}
	}
	return nil
}
