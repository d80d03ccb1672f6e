// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// authority signs certificates into a directory.
type authority struct {
	dir string
	ca  *pki.Authority
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "chaos"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pair := pki.KeyPair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: text}),
	}
	write(t, filepath.Join(dir, "ca.crt"), pair.Cert)
	write(t, filepath.Join(dir, "ca.key"), pair.Key)
	a := &authority{dir: dir}
	if a.ca, err = pki.ParseAuthority(&corev1.Secret{Data: map[string][]byte{"tls.crt": pair.Cert, "tls.key": pair.Key}}); err != nil {
		t.Fatal(err)
	}
	return a
}

// leaf makes <file>.crt and <file>.key for a server on this machine and for a client.
func (a *authority) leaf(t *testing.T, file, commonName string, groups ...string) {
	t.Helper()
	pair, err := a.ca.Issue(pki.Leaf{
		CommonName: commonName, Organizations: groups, Client: true, Server: true,
		DNSNames: []string{"localhost"}, IPs: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a.dir, file+".crt"), pair.Cert)
	write(t, filepath.Join(a.dir, file+".key"), pair.Key)
}

// serviceAccountKeys makes sa.key and sa.pub.
func (a *authority) serviceAccountKeys(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(a.dir, "sa.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
	write(t, filepath.Join(a.dir, "sa.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
}
