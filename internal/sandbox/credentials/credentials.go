// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credentials makes the host's certificates and kubeconfigs.
//
//	ca ─► apiserver, apiserver-kubelet-client, kubelet, and one client per kubeconfig
//	front-proxy-ca ─► front-proxy-client
//	sa.key, sa.pub    service account tokens
//
// # Laws
//
//  1. What exists and is good for another month is kept: Ensure can be repeated
//     without disturbing a running host.
//  2. Private keys are readable by root alone.
//  3. Every component is its own user: no one borrows the administrator's name.
package credentials

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

// SecurePort is where the host's kube-apiserver listens.
const SecurePort = "6443"

// Dir is the directory of the certificates.
func Dir(c sandbox.Config) string { return c.Path("pki") }

// File is one file in that directory.
func File(c sandbox.Config, name string) string { return filepath.Join(Dir(c), name) }

// Kubeconfig is a component's kubeconfig.
func Kubeconfig(c sandbox.Config, component string) string {
	return c.Path("kubeconfigs", component+".kubeconfig")
}

// Server is the URL of the host's kube-apiserver.
func Server(nets sandbox.Networks) string {
	return "https://" + net.JoinHostPort(nets.Node.String(), SecurePort)
}

// Ensure makes what is missing or near its end.
func Ensure(c sandbox.Config, clk clock.PassiveClock) error {
	nets, err := c.Networks()
	if err != nil {
		return err
	}
	for _, dir := range []string{Dir(c), c.Path("kubeconfigs")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create directory for credentials: %w", err)
		}
	}
	s := store{dir: Dir(c), clock: clk}
	ca, err := s.authority("ca", c.Name)
	if err != nil {
		return err
	}
	if err := s.ensureServing(c, nets, ca); err != nil {
		return err
	}
	front, err := s.authority("front-proxy-ca", c.Name+"-front-proxy")
	if err != nil {
		return err
	}
	if _, err := s.leaf("front-proxy-client", front, request{name: "front-proxy-client", client: true}); err != nil {
		return err
	}
	if err := s.ensureServiceAccountKey(); err != nil {
		return err
	}
	return s.ensureKubeconfigs(c, nets, ca)
}

// ensureServing makes the certificates that the API server and the kubelet show
// to each other.
func (s store) ensureServing(c sandbox.Config, nets sandbox.Networks, ca *pair) error {
	for file, r := range map[string]request{
		"apiserver": {name: "kube-apiserver", server: true, hosts: []string{
			nets.Node.String(), nets.API.String(), "127.0.0.1", "localhost", c.Name,
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		}},
		"apiserver-kubelet-client": {name: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}, client: true},
		"kubelet":                  {name: "system:node:" + c.Name, groups: []string{"system:nodes"}, server: true, hosts: []string{c.Name, nets.Node.String(), "127.0.0.1"}},
	} {
		if _, err := s.leaf(file, ca, r); err != nil {
			return err
		}
	}
	return nil
}

// ensureServiceAccountKey makes the key that signs service account tokens.
func (s store) ensureServiceAccountKey() error {
	p, err := s.authority("sa", "service-accounts")
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(&p.key.PublicKey)
	if err != nil {
		return fmt.Errorf("encode service account key: %w", err)
	}
	return s.write("sa.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// ensureKubeconfigs writes one kubeconfig per component, and the administrator's.
func (s store) ensureKubeconfigs(c sandbox.Config, nets sandbox.Networks, ca *pair) error {
	for component, r := range map[string]request{
		"admin":                   {name: "kubernetes-admin", groups: []string{"system:masters"}},
		"kube-controller-manager": {name: "system:kube-controller-manager"},
		"kube-scheduler":          {name: "system:kube-scheduler"},
		"kubelet":                 {name: "system:node:" + c.Name, groups: []string{"system:nodes"}},
		"kube-proxy":              {name: "system:kube-proxy"},
		"storage-provisioner":     {name: "storage-provisioner"},
	} {
		r.client = true
		client, err := s.leaf("client-"+component, ca, r)
		if err != nil {
			return err
		}
		path := Kubeconfig(c, component)
		if component == "admin" {
			path = c.Kubeconfig()
		}
		if err := writeKubeconfig(path, c.Name, Server(nets), r.name, ca, client); err != nil {
			return err
		}
	}
	return nil
}

func writeKubeconfig(path, cluster, server, user string, ca, client *pair) error {
	k := clientcmdapi.NewConfig()
	k.Clusters[cluster] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca.certPEM}
	k.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: client.certPEM, ClientKeyData: client.keyPEM}
	k.Contexts[cluster] = &clientcmdapi.Context{Cluster: cluster, AuthInfo: user}
	k.CurrentContext = cluster
	if err := clientcmd.WriteToFile(*k, path); err != nil {
		return fmt.Errorf("write kubeconfig %s: %w", path, err)
	}
	return nil
}
