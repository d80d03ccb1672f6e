// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"net/url"
	"slices"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// Leaf certificates, by the beginning of their files' names.
const (
	certAPIServer   = "kube-apiserver"
	certKubelet     = "kubelet-client"
	certFrontProxy  = "front-proxy-client"
	certHubClient   = "hub-client"
	certComponent   = "component"
	certHub         = "hub"
	certHubAdmin    = "hub-admin"
	frontProxyName  = "front-proxy-client"
	hubAdminName    = "hub-admin"
	apiServerClient = "kube-apiserver-kubelet-client"
)

// Authorities sign the certificates of one cluster.
type Authorities struct {
	Cluster    *pki.Authority
	FrontProxy *pki.Authority
	Git        *pki.Authority
}

// SecretNames are the Secrets that a heaven's certificates are made from, with the defaults of its cluster.
func SecretNames(h *heavenv1.TrishankuHeaven) pki.Names {
	names, given := pki.DefaultNames(h.Spec.ClusterName), h.Spec.Certificates
	return pki.Names{
		ClusterCA:      cmp.Or(given.ClusterCA, names.ClusterCA),
		FrontProxyCA:   cmp.Or(given.FrontProxyCA, names.FrontProxyCA),
		ServiceAccount: cmp.Or(given.ServiceAccount, names.ServiceAccount),
		GitCA:          cmp.Or(given.GitCA, names.GitCA),
		Encryption:     cmp.Or(given.Encryption, names.Encryption),
	}
}

// HubAuthority is the Secret that a hub's certificates are made from.
func HubAuthority(m *heavenv1.AutomatedMerge) string {
	return cmp.Or(m.Spec.GitCA, pki.DefaultNames(m.Spec.ClusterName).GitCA)
}

// Certificates are the leaf certificates of a heaven. Clients come to the API server by its Service's names and by the
// addresses that are given, and to every API server of the cluster by the names of Service default/kubernetes.
func Certificates(h *heavenv1.TrishankuHeaven, ca Authorities, addresses ...string) ([]pki.Wish, error) {
	others := slices.Concat(addresses, h.Spec.APIServer.CertSANs)
	if h.Spec.APIServer.Service != nil {
		others = append(others, serviceNames(h.Name, h.Namespace)...)
	}
	// The issuer's host is the full name of Service default/kubernetes.
	if issuer, err := url.Parse(h.Spec.APIServer.ServiceAccountIssuer); err == nil {
		others = append(others, issuer.Hostname())
	}
	names, err := pki.APIServerNames(serviceCIDRs(h), DefaultServiceDomain, others...)
	if err != nil {
		return nil, err
	}
	wishes := []pki.Wish{
		{
			Name: certAPIServer, Authority: ca.Cluster,
			Leaf: pki.Leaf{CommonName: "kube-apiserver", DNSNames: names.DNS, IPs: names.IPs, Server: true},
		},
		{
			Name: certKubelet, Authority: ca.Cluster,
			Leaf: pki.Leaf{CommonName: apiServerClient, Organizations: []string{"system:masters"}, Client: true},
		},
		{Name: certFrontProxy, Authority: ca.FrontProxy, Leaf: pki.Leaf{CommonName: frontProxyName, Client: true}},
		{Name: certHubClient, Authority: ca.Git, Leaf: pki.Leaf{CommonName: h.Spec.Branch, Client: true}},
	}
	if c := h.Spec.Component; c != nil {
		wishes = append(wishes, pki.Wish{
			Name: certComponent, Authority: ca.Cluster, Server: localAPIServer,
			Leaf: pki.Leaf{CommonName: c.Kubeconfig.User, Organizations: c.Kubeconfig.Groups, Client: true},
		})
	}
	return wishes, nil
}

// HubCertificates are the leaf certificates of a hub: its own, and that of the controller which asks how it is.
func HubCertificates(m *heavenv1.AutomatedMerge, git *pki.Authority, addresses ...string) []pki.Wish {
	names := pki.NewSubjectNames(slices.Concat(addresses, serviceNames(HubName(m.Name), m.Namespace),
		[]string{"localhost", "127.0.0.1", "::1"})...)
	return []pki.Wish{
		{Name: certHub, Authority: git, Leaf: pki.Leaf{CommonName: certHub, DNSNames: names.DNS, IPs: names.IPs, Server: true}},
		{Name: certHubAdmin, Authority: git, Leaf: pki.Leaf{CommonName: hubAdminName, Client: true}},
	}
}

// serviceNames are the names of a Service in the host cluster. Its domain there is not known: the short ones do.
func serviceNames(service, namespace string) []string {
	return []string{service, service + "." + namespace, service + "." + namespace + ".svc", service + "." + namespace + ".svc.cluster.local"}
}

func serviceCIDRs(h *heavenv1.TrishankuHeaven) []string {
	if len(h.Spec.APIServer.ServiceCIDRs) == 0 {
		return []string{DefaultServiceCIDR}
	}
	return h.Spec.APIServer.ServiceCIDRs
}
