// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/cluster-api/util/certs"
	"sigs.k8s.io/cluster-api/util/secret"
)

// backdate is how far in the past a certificate becomes valid, for machines whose clocks are behind.
const backdate = 5 * time.Minute

// ErrExpired says that an authority cannot sign any more because its own time is over.
var ErrExpired = errors.New("certificate authority has expired")

// KeyPair is a certificate and its private key, both PEM.
type KeyPair struct {
	Cert []byte
	Key  []byte
}

// Authority signs leaf certificates.
type Authority struct {
	KeyPair

	cert   *x509.Certificate
	signer crypto.Signer
}

// ParseAuthority reads an authority from a Secret with the keys tls.crt and tls.key.
func ParseAuthority(s *corev1.Secret) (*Authority, error) {
	pair := KeyPair{Cert: s.Data[secret.TLSCrtDataName], Key: s.Data[secret.TLSKeyDataName]}
	cert, err := certs.DecodeCertPEM(pair.Cert)
	if err != nil {
		return nil, fmt.Errorf("read certificate authority: %w (Secret %s/%s, key %s: put a PEM certificate there, or delete the Secret to have a new one made)",
			err, s.Namespace, s.Name, secret.TLSCrtDataName)
	}
	if !cert.IsCA {
		return nil, fmt.Errorf("read certificate authority: the certificate is not one of an authority (Secret %s/%s, key %s: basicConstraints must say CA:TRUE)",
			s.Namespace, s.Name, secret.TLSCrtDataName)
	}
	signer, err := certs.DecodePrivateKeyPEM(pair.Key)
	if err != nil {
		return nil, fmt.Errorf("read certificate authority: %w (Secret %s/%s, key %s: the private key is needed to sign the cluster's certificates)",
			err, s.Namespace, s.Name, secret.TLSKeyDataName)
	}
	if !samePublicKey(cert.PublicKey, signer.Public()) {
		return nil, fmt.Errorf("read certificate authority: the private key does not belong to the certificate (Secret %s/%s: provide a matching pair)",
			s.Namespace, s.Name)
	}
	return &Authority{KeyPair: pair, cert: cert, signer: signer}, nil
}

// Issue makes a new key and a certificate that says what leaf wishes.
func (a *Authority) Issue(leaf Leaf, now time.Time) (KeyPair, error) {
	if !now.Before(a.cert.NotAfter) {
		return KeyPair{}, fmt.Errorf("sign certificate %s: %w on %s (replace the authority's Secret)",
			leaf.CommonName, ErrExpired, a.cert.NotAfter.UTC().Format(time.RFC3339))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return KeyPair{}, fmt.Errorf("make private key of %s: %w", leaf.CommonName, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return KeyPair{}, fmt.Errorf("make serial number of %s: %w", leaf.CommonName, err)
	}
	template := x509.Certificate{
		Subject:      pkix.Name{CommonName: leaf.CommonName, Organization: leaf.Organizations},
		DNSNames:     leaf.DNSNames,
		IPAddresses:  leaf.IPs,
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		NotBefore:    now.Add(-backdate).UTC(),
		NotAfter:     a.end(leaf, now).UTC(),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  leaf.usages(),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, a.cert, key.Public(), a.signer)
	if err != nil {
		return KeyPair{}, fmt.Errorf("sign certificate %s: %w", leaf.CommonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return KeyPair{}, fmt.Errorf("read signed certificate %s: %w", leaf.CommonName, err)
	}
	keyPEM, err := certs.EncodePrivateKeyPEMFromSigner(key)
	if err != nil {
		return KeyPair{}, fmt.Errorf("encode private key of %s: %w", leaf.CommonName, err)
	}
	return KeyPair{Cert: certs.EncodeCertPEM(cert), Key: keyPEM}, nil
}

// end is when a leaf made now would stop being valid; never after the authority itself.
func (a *Authority) end(leaf Leaf, now time.Time) time.Time {
	end := now.Add(leaf.life()).Truncate(time.Second)
	if a.cert.NotAfter.Before(end) {
		return a.cert.NotAfter
	}
	return end
}

func samePublicKey(a, b crypto.PublicKey) bool {
	key, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && key.Equal(b)
}
