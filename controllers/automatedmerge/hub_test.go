// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

func authority(t *testing.T) *pki.Authority {
	t.Helper()
	ca := &secret.Certificate{KeyEncryptionAlgorithm: bootstrapv1.EncryptionAlgorithmECDSAP256}
	if err := ca.Generate(); err != nil {
		t.Fatal(err)
	}
	a, err := pki.ParseAuthority(&corev1.Secret{Data: map[string][]byte{"tls.crt": ca.KeyPair.Cert, "tls.key": ca.KeyPair.Key}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, ca *pki.Authority, leaf pki.Leaf) pki.KeyPair {
	t.Helper()
	pair, err := ca.Issue(leaf, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// A real TLS server that wants a certificate, and says what a hub says.
func TestHTTPHubs(t *testing.T) {
	ca, stranger := authority(t), authority(t)
	served := issue(t, ca, pki.Leaf{CommonName: "hub", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true})
	pair, err := tls.X509KeyPair(served.Cert, served.Key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca.Cert)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/status" || r.TLS.PeerCertificates[0].Subject.CommonName != "hub-admin" {
			http.Error(w, "only hub-admin may ask", http.StatusForbidden)
			return
		}
		_, _ = w.Write([]byte(`{"main":"2a1c","branches":[{"name":"heavens/a","head":"1","epoch":3,"holder":"p","lastPush":"2026-01-02T03:04:05Z","merged":true}],"conflicts":4,"records":{"filed":9,"open":4,"recent":[{"number":9,"id":"1f","key":"/a","rule":"owner","took":"main","other":"heavens/a"}]}}`))
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	defer server.Close()
	host, text, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(by, trusted *pki.Authority, who string) (HubStatus, error) {
		admin := issue(t, by, pki.Leaf{CommonName: who, Client: true})
		return HTTPHubs{}.Status(t.Context(), HubAddress{
			Endpoint: heavenv1.Endpoint{Host: host, Port: int32(port)}, CA: trusted.Cert, Cert: admin.Cert, Key: admin.Key,
		})
	}

	g := NewWithT(t)
	status, err := ask(ca, ca, "hub-admin")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(status.Main).To(Equal("2a1c"))
	g.Expect(status.Records).To(Equal(&HubRecords{Filed: 9, Open: 4, Recent: []HubConflict{
		{Number: 9, ID: "1f", Key: "/a", Rule: "owner", Took: "main", Other: "heavens/a"},
	}}))
	g.Expect(status.Branches).To(Equal([]HubBranch{{
		Name: "heavens/a", Head: "1", Epoch: 3, Holder: "p", LastPush: new(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), Merged: new(true),
	}}))
	_, err = ask(ca, ca, "heavens/a")
	g.Expect(err).To(MatchError(ContainSubstring("403 Forbidden: only hub-admin may ask")))
	_, err = ask(stranger, ca, "hub-admin")
	g.Expect(err).To(HaveOccurred(), "a foreign client certificate")
	_, err = ask(ca, stranger, "hub-admin")
	g.Expect(err).To(MatchError(ContainSubstring("certificate signed by unknown authority")))
}
