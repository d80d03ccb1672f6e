// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedmachine

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

func node() *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "worker"},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: "192.0.2.7"}, {Type: corev1.NodeHostName, Address: "worker"},
		}},
	}
}

// request is what the kubelet of node worker asks for, changed.
func request(t *testing.T, name string, change func(*x509.CertificateRequest, *certificatesv1.CertificateSigningRequestSpec)) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	asked := &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "system:node:worker", Organization: []string{"system:nodes"}},
		DNSNames: []string{"worker"}, IPAddresses: []net.IP{net.ParseIP("192.0.2.7")},
	}
	spec := certificatesv1.CertificateSigningRequestSpec{
		SignerName: certificatesv1.KubeletServingSignerName, Username: "system:node:worker", Groups: []string{"system:nodes", "system:authenticated"},
		Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth},
	}
	if change != nil {
		change(asked, &spec)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, asked, key)
	if err != nil {
		t.Fatal(err)
	}
	if spec.Request == nil {
		spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	}
	return &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
}

func TestLawOwnNamesOnly(t *testing.T) {
	t.Parallel()
	type (
		asked = *x509.CertificateRequest
		spec  = *certificatesv1.CertificateSigningRequestSpec
	)
	for name, tc := range map[string]struct {
		change func(asked, spec)
		want   string
	}{
		"own":                   {nil, ""},
		"address only":          {func(a asked, _ spec) { a.DNSNames = nil }, ""},
		"another name":          {func(a asked, _ spec) { a.DNSNames = []string{"worker", "kubernetes"} }, `"kubernetes"`},
		"another address":       {func(a asked, _ spec) { a.IPAddresses = append(a.IPAddresses, net.ParseIP("192.0.2.8")) }, "192.0.2.8"},
		"no names":              {func(a asked, _ spec) { a.DNSNames, a.IPAddresses = nil, nil }, "no address"},
		"mail":                  {func(a asked, _ spec) { a.EmailAddresses = []string{"a@example.org"} }, "no host's"},
		"another node's":        {func(a asked, _ spec) { a.Subject.CommonName = "system:node:other" }, "system:node:other"},
		"administrator":         {func(a asked, _ spec) { a.Subject.Organization = []string{"system:nodes", "system:masters"} }, "system:masters"},
		"client certificate":    {func(_ asked, s spec) { s.Usages = append(s.Usages, certificatesv1.UsageClientAuth) }, "client auth"},
		"not from a node":       {func(_ asked, s spec) { s.Groups = nil }, "from a node"},
		"another signer":        {func(_ asked, s spec) { s.SignerName = certificatesv1.KubeAPIServerClientKubeletSignerName }, "another signer"},
		"not even a request":    {func(_ asked, s spec) { s.Request = []byte("x") }, "PEM"},
		"without server usages": {func(_ asked, s spec) { s.Usages = nil }, "usages"},
	} {
		got := refusal(request(t, "csr", tc.change), node())
		if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestNodeGivesAddressesAndGetsItsCertificate(t *testing.T) {
	t.Parallel()
	joined := machine()
	joined.Status.NodeRef.Name = "worker"
	kubeconfig := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue-kubeconfig"}, Data: map[string][]byte{"value": []byte("the way")}}
	w := newWorld(t, cluster(), joined, infra(), hub(), kubeconfig)
	others := request(t, "others", func(_ *x509.CertificateRequest, s *certificatesv1.CertificateSigningRequestSpec) {
		s.Username = "system:node:other"
	})
	greedy := request(t, "greedy", func(a *x509.CertificateRequest, _ *certificatesv1.CertificateSigningRequestSpec) {
		a.DNSNames = []string{"kubernetes"}
	})
	headless := fake.NewClientset(node(), request(t, "own", nil), others, greedy)

	// Out of reach at first: that is no failure.
	headless.PrependReactor("get", "nodes", unreachable)
	w.headless = headless
	if got := w.settle(); len(got.Status.Addresses) != 0 {
		t.Errorf("addresses of a Node that was not seen: %+v", got.Status.Addresses)
	}
	headless.ReactionChain = headless.ReactionChain[1:]
	got := w.settle()
	want := clusterv1.MachineAddresses{{Type: "InternalIP", Address: "192.0.2.7"}, {Type: "Hostname", Address: "worker"}}
	if len(got.Status.Addresses) != 2 || got.Status.Addresses[0] != want[0] || got.Status.Addresses[1] != want[1] {
		t.Errorf("addresses are %+v", got.Status.Addresses)
	}
	for name, approved := range map[string]bool{"own": true, "others": false, "greedy": false} {
		csr, err := headless.CertificatesV1().CertificateSigningRequests().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if (len(csr.Status.Conditions) == 1) != approved {
			t.Errorf("%s: conditions are %+v", name, csr.Status.Conditions)
		}
	}
	if said := w.said(); !strings.Contains(said, "greedy") || strings.Contains(said, "others") {
		t.Errorf("events: %s", said)
	}
}

// unreachable answers as a cluster that is out of reach.
func unreachable(clienttesting.Action) (bool, runtime.Object, error) {
	return true, nil, errors.New("connection refused")
}
