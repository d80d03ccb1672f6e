// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"maps"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// Names of the certificates, and so the beginnings of their files' names.
const (
	certAPIServer  = "kube-apiserver"
	certFrontProxy = "front-proxy-client"
	certHubClient  = "hub-client"
	certKubelet    = "kubelet"
	certKubeProxy  = "kube-proxy"

	localAPIServer = "https://127.0.0.1:6443"
)

// Authorities sign the certificates of a node.
type Authorities struct {
	Cluster, FrontProxy, Git *pki.Authority
}

// Certificates are the certificates that a node needs. Each names the node, or what every node is.
func Certificates(in *Input, ca Authorities) ([]pki.Wish, error) {
	names, err := pki.APIServerNames(in.Network.ServiceCIDRs, in.Network.ServiceDomain, in.NodeName)
	if err != nil {
		return nil, err
	}
	return []pki.Wish{
		{
			Name: certAPIServer, Authority: ca.Cluster,
			Leaf: pki.Leaf{CommonName: "kube-apiserver", DNSNames: names.DNS, IPs: names.IPs, Server: true},
		},
		{Name: certFrontProxy, Authority: ca.FrontProxy, Leaf: pki.Leaf{CommonName: "front-proxy-client", Client: true}},
		{Name: certHubClient, Authority: ca.Git, Leaf: pki.Leaf{CommonName: in.Branch(), Client: true}},
		{
			Name: certKubelet, Authority: ca.Cluster, Server: localAPIServer,
			Leaf: pki.Leaf{CommonName: "system:node:" + in.NodeName, Organizations: []string{"system:nodes"}, Client: true},
		},
		{
			Name: certKubeProxy, Authority: ca.Cluster, Server: localAPIServer,
			Leaf: pki.Leaf{CommonName: "system:kube-proxy", Client: true},
		},
	}, nil
}

// pkiFiles are the files below the node's key directory.
func pkiFiles(in *Input) map[string][]byte {
	files := map[string][]byte{
		"ca.crt":             in.Shared.ClusterCA,
		"front-proxy-ca.crt": in.Shared.FrontProxyCA,
		"git-ca.crt":         in.Shared.GitCA,
		"sa.pub":             in.Shared.ServiceAccount.Cert,
		"sa.key":             in.Shared.ServiceAccount.Key,
		"encryption.yaml":    in.Shared.Encryption,
	}
	maps.Copy(files, in.Certificates)
	return files
}
