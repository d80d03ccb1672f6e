// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/utils/clock"
)

const (
	// validity is how long a certificate is good for.
	validity = 365 * 24 * time.Hour
	// renewal is how long before its end a certificate is made anew.
	renewal = 30 * 24 * time.Hour
	// authorityValidity is how long an authority is good for: longer than any host lives.
	authorityValidity = 10 * validity
	// skew forgives clocks that differ.
	skew = 5 * time.Minute
)

// pair is a certificate and its key, parsed and as PEM.
type pair struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	certPEM []byte
	keyPEM  []byte
}

// request says what a certificate is for.
type request struct {
	name   string
	groups []string
	hosts  []string
	server bool
	client bool
}

// store keeps pairs as NAME.crt and NAME.key in one directory.
type store struct {
	dir   string
	clock clock.PassiveClock
}

// authority loads or makes a self-signed authority.
func (s store) authority(file, name string) (*pair, error) {
	if p, err := s.load(file); err == nil {
		return p, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	tmpl := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotAfter:              s.clock.Now().Add(authorityValidity),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	return s.issue(file, tmpl, nil)
}

// leaf loads a certificate, or makes it anew if it is missing, near its end, or
// not of this authority.
func (s store) leaf(file string, ca *pair, r request) (*pair, error) {
	p, err := s.load(file)
	if err == nil && p.cert.NotAfter.After(s.clock.Now().Add(renewal)) && p.cert.CheckSignatureFrom(ca.cert) == nil {
		return p, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	tmpl := &x509.Certificate{
		Subject:  pkix.Name{CommonName: r.name, Organization: r.groups},
		NotAfter: s.clock.Now().Add(validity),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	if r.server {
		tmpl.ExtKeyUsage = append(tmpl.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if r.client {
		tmpl.ExtKeyUsage = append(tmpl.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	for _, h := range r.hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	return s.issue(file, tmpl, ca)
}

// issue makes a key, signs a certificate for it, and writes both. Without an
// authority the certificate signs itself.
func (s store) issue(file string, tmpl *x509.Certificate, ca *pair) (*pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key %s: %w", file, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	tmpl.SerialNumber, tmpl.NotBefore = serial, s.clock.Now().Add(-skew)
	parent, signer := tmpl, key
	if ca != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("sign certificate %s: %w", file, err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key %s: %w", file, err)
	}
	p := &pair{
		key:     key,
		certPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}),
	}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("parse certificate %s: %w", file, err)
	}
	// The key first: a certificate without its key would be taken for a whole pair.
	if err := s.write(file+".key", p.keyPEM); err != nil {
		return nil, err
	}
	return p, s.write(file+".crt", p.certPEM)
}

// load reads a pair; fs.ErrNotExist if there is none.
func (s store) load(file string) (*pair, error) {
	p := &pair{}
	var err error
	if p.certPEM, err = os.ReadFile(filepath.Join(s.dir, file+".crt")); err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	if p.keyPEM, err = os.ReadFile(filepath.Join(s.dir, file+".key")); err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	certBlock, _ := pem.Decode(p.certPEM)
	keyBlock, _ := pem.Decode(p.keyPEM)
	if certBlock == nil || keyBlock == nil {
		return nil, fmt.Errorf("read %s in %s: it is not PEM; remove both of its files and run again", file, s.dir)
	}
	if p.cert, err = x509.ParseCertificate(certBlock.Bytes); err != nil {
		return nil, fmt.Errorf("parse certificate %s: %w", file, err)
	}
	if p.key, err = x509.ParseECPrivateKey(keyBlock.Bytes); err != nil {
		return nil, fmt.Errorf("parse key %s: %w", file, err)
	}
	return p, nil
}

func (s store) write(file string, content []byte) error {
	if err := os.WriteFile(filepath.Join(s.dir, file), content, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
