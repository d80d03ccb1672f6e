// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/util/certs"
	"sigs.k8s.io/cluster-api/util/secret"
)

// testAuthority has a life of ten years from the machine's now.
func testAuthority(t *testing.T) *Authority {
	t.Helper()
	ca := &secret.Certificate{Purpose: secret.ClusterCA, KeyEncryptionAlgorithm: bootstrapv1.EncryptionAlgorithmECDSAP256}
	if err := ca.Generate(); err != nil {
		t.Fatal(err)
	}
	authority, err := ParseAuthority(&corev1.Secret{Data: map[string][]byte{
		secret.TLSCrtDataName: ca.KeyPair.Cert, secret.TLSKeyDataName: ca.KeyPair.Key,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

func serving() Leaf {
	return Leaf{
		CommonName: "kube-apiserver", DNSNames: []string{"localhost", "kubernetes"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
		Server: true,
	}
}

func TestIssuedCertificateIsTrusted(t *testing.T) {
	g := NewWithT(t)
	ca, now := testAuthority(t), time.Now()

	pair, err := ca.Issue(serving(), now)
	g.Expect(err).NotTo(HaveOccurred())

	_, err = tls.X509KeyPair(pair.Cert, pair.Key)
	g.Expect(err).NotTo(HaveOccurred())
	cert, err := certs.DecodeCertPEM(pair.Cert)
	g.Expect(err).NotTo(HaveOccurred())
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert)
	for _, name := range []string{"localhost", "127.0.0.1"} {
		_, err = cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		g.Expect(err).NotTo(HaveOccurred(), name)
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	g.Expect(err).To(HaveOccurred(), "a serving certificate is no client certificate")
}

// The rule of law 3, row by row.
func TestMisfit(t *testing.T) {
	ca, other, now := testAuthority(t), testAuthority(t), time.Now()
	pair, err := ca.Issue(serving(), now)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ca.Issue(serving(), now)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name   string
		ca     *Authority
		pair   KeyPair
		change func(*Leaf)
		age    time.Duration
		want   string
	}{
		{name: "fits", pair: pair},
		{name: "other order", pair: pair, change: func(l *Leaf) { slices.Reverse(l.DNSNames) }},
		{name: "two thirds minus a day", pair: pair, age: DefaultLife*2/3 - 24*time.Hour},
		{name: "two thirds", pair: pair, age: DefaultLife*2/3 + time.Minute, want: "less than a third of its life is left"},
		{name: "expired", pair: pair, age: 2 * DefaultLife, want: "less than a third of its life is left"},
		{name: "absent", want: "there is none yet"},
		{name: "garbage", pair: KeyPair{Cert: []byte("x"), Key: pair.Key}, want: "the certificate is unreadable"},
		{name: "garbage key", pair: KeyPair{Cert: pair.Cert, Key: []byte("x")}, want: "the private key is unreadable"},
		{name: "foreign key", pair: KeyPair{Cert: pair.Cert, Key: second.Key}, want: "the private key belongs to another certificate"},
		{name: "other authority", ca: other, pair: pair, want: "the certificate authority has changed"},
		{name: "other name", pair: pair, change: func(l *Leaf) { l.CommonName = "b" }, want: `it is for "kube-apiserver", not for "b"`},
		{name: "other group", pair: pair, change: func(l *Leaf) { l.Organizations = []string{"g"} }, want: "its organizations have changed"},
		{name: "more names", pair: pair, change: func(l *Leaf) { l.DNSNames = append(l.DNSNames, "x") }, want: "its DNS names have changed"},
		{name: "more addresses", pair: pair, change: func(l *Leaf) { l.IPs = append(l.IPs, net.IPv4(10, 96, 0, 1)) }, want: "its IP addresses have changed"},
		{name: "other use", pair: pair, change: func(l *Leaf) { l.Client = true }, want: "its usages have changed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			leaf, authority := serving(), ca
			if row.change != nil {
				row.change(&leaf)
			}
			if row.ca != nil {
				authority = row.ca
			}
			NewWithT(t).Expect(authority.Misfit(row.pair, leaf, now.Add(row.age))).To(Equal(row.want))
		})
	}
}

// Law 4: near its own end an authority gives what is left, and does so once.
func TestLeafDoesNotOutliveItsAuthority(t *testing.T) {
	g := NewWithT(t)
	ca := testAuthority(t)
	late := ca.cert.NotAfter.Add(-24 * time.Hour)

	pair, err := ca.Issue(serving(), late)
	g.Expect(err).NotTo(HaveOccurred())
	cert, err := certs.DecodeCertPEM(pair.Cert)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cert.NotAfter).To(BeTemporally("==", ca.cert.NotAfter))
	g.Expect(ca.Misfit(pair, serving(), ca.cert.NotAfter.Add(-time.Minute))).To(BeEmpty(), "renewing could not give more time")

	_, err = ca.Issue(serving(), ca.cert.NotAfter)
	g.Expect(err).To(MatchError(ErrExpired))
}

func TestRenewKeepsWhatFits(t *testing.T) {
	g := NewWithT(t)
	ca, now := testAuthority(t), time.Now()
	wishes := []Wish{
		{Name: "kube-apiserver", Authority: ca, Leaf: serving()},
		{Name: "scheduler", Authority: ca, Leaf: Leaf{CommonName: "system:kube-scheduler", Client: true}, Server: "https://127.0.0.1:6443"},
	}
	first, err := Renew(nil, wishes, now)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(first.Renewed).To(Equal([]Renewal{{"kube-apiserver", "there is none yet"}, {"scheduler", "there is none yet"}}))
	g.Expect(first.Data).To(HaveLen(5))
	g.Expect(first.NextRenewal).To(BeTemporally("~", now.Add(DefaultLife*2/3), time.Hour))

	config, err := clientcmd.RESTConfigFromKubeConfig(first.Data["scheduler.conf"])
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(config.Host).To(Equal("https://127.0.0.1:6443"))
	g.Expect(config.CAData).To(Equal(ca.Cert))
	g.Expect(config.CertData).To(Equal(first.Data["scheduler.crt"]))

	again, err := Renew(first.Data, wishes, now.Add(24*time.Hour))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again.Renewed).To(BeEmpty())
	g.Expect(again.Same(first.Data)).To(BeTrue(), "equal input, equal bytes")

	wishes[0].Leaf.DNSNames = append(wishes[0].Leaf.DNSNames, "api.example.org")
	changed, err := Renew(first.Data, wishes, now)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(changed.Renewed).To(HaveLen(1))
	g.Expect(changed.Renewed[0].String()).To(Equal("made certificate kube-apiserver: its DNS names have changed"))
	g.Expect(changed.Data["scheduler.conf"]).To(Equal(first.Data["scheduler.conf"]))

	fewer, err := Renew(first.Data, wishes[1:], now)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(fewer.Data).To(HaveLen(3), "what nobody wishes for goes")
}

func TestParseAuthorityRefuses(t *testing.T) {
	ca, other := testAuthority(t), testAuthority(t)
	leaf, err := ca.Issue(serving(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name      string
		cert, key []byte
		want      string
	}{
		{"nothing", nil, nil, "delete the Secret to have a new one made"},
		{"no key", ca.Cert, nil, "the private key is needed"},
		{"foreign key", ca.Cert, other.Key, "does not belong to the certificate"},
		{"no authority", leaf.Cert, leaf.Key, "CA:TRUE"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := ParseAuthority(&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "blue-ca"},
				Data:       map[string][]byte{secret.TLSCrtDataName: row.cert, secret.TLSKeyDataName: row.key},
			})
			NewWithT(t).Expect(err).To(MatchError(And(ContainSubstring(row.want), ContainSubstring("ns/blue-ca"))))
		})
	}
}

func TestAPIServerNames(t *testing.T) {
	g := NewWithT(t)
	names, err := APIServerNames([]string{"10.96.0.0/16", "fd00::/108"}, "cluster.local", "api.example.org", "192.0.2.7", "")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(names.DNS).To(Equal([]string{
		"api.example.org", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost",
	}))
	g.Expect(addresses(names.IPs)).To(Equal([]string{"10.96.0.1", "127.0.0.1", "192.0.2.7", "::1", "fd00::1"}))

	_, err = APIServerNames([]string{"10.96.0.0"}, "cluster.local")
	g.Expect(err).To(MatchError(ContainSubstring("a range looks like")))
}
