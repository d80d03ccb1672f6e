// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
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
)

// demandsCertificates says whether clients must show a certificate. As with etcd, naming their authorities is enough.
func (o *etcdOptions) demandsCertificates() bool { return o.certAuth || o.caFile != "" }

// tlsConfig returns what https and unixs URLs are served with, nil if there is
// no certificate. Files are read again when they change.
func (o *etcdOptions) tlsConfig() (*tls.Config, error) {
	cert, key := o.certFile, o.keyFile
	if cert == "" && o.autoTLS {
		var err error
		if cert, key, err = o.selfSigned(time.Now()); err != nil {
			return nil, err
		}
	}
	if cert == "" {
		return nil, nil //nolint:nilnil // no certificate is not an error
	}
	base, err := o.tlsBase()
	if err != nil {
		return nil, &usageError{err}
	}
	if o.certAuth && o.caFile == "" {
		return nil, &usageError{errors.New("--client-cert-auth needs --trusted-ca-file: which authorities are clients' certificates of?")}
	}
	files := &keyFiles{certFile: cert, keyFile: key, caFile: o.caFile}
	if _, _, err := files.load(); err != nil {
		return nil, &usageError{err}
	}
	return &tls.Config{
		MinVersion: base.MinVersion,
		NextProtos: base.NextProtos,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			cert, pool, err := files.load()
			if err != nil {
				return nil, err
			}
			c := base.Clone()
			c.Certificates = []tls.Certificate{*cert}
			if o.demandsCertificates() {
				c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool
				c.VerifyConnection = o.verifyClient
			}
			return c, nil
		},
	}, nil
}

var tlsVersions = map[string]uint16{"": 0, "TLS1.2": tls.VersionTLS12, "TLS1.3": tls.VersionTLS13}

func (o *etcdOptions) tlsBase() (*tls.Config, error) {
	least, ok := tlsVersions[o.tlsMin]
	if !ok {
		return nil, fmt.Errorf("--tls-min-version %q: write TLS1.2 or TLS1.3", o.tlsMin)
	}
	most, ok := tlsVersions[o.tlsMax]
	if !ok {
		return nil, fmt.Errorf("--tls-max-version %q: write TLS1.2 or TLS1.3", o.tlsMax)
	}
	if most != 0 && most < least {
		return nil, fmt.Errorf("--tls-min-version %s is above --tls-max-version %s", o.tlsMin, o.tlsMax)
	}
	c := &tls.Config{MinVersion: max(least, tls.VersionTLS12), MaxVersion: most, NextProtos: []string{"h2", "http/1.1"}}
	if o.ciphers != "" && least == tls.VersionTLS13 {
		return nil, errors.New("--cipher-suites are of TLS 1.2; with --tls-min-version TLS1.3 leave them out")
	}
	known := map[string]uint16{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		known[s.Name] = s.ID
	}
	for _, name := range split(o.ciphers) {
		id, ok := known[name]
		if !ok { // the name before RFC 7905 was one
			id, ok = known[name+"_SHA256"]
		}
		if !ok {
			return nil, fmt.Errorf("--cipher-suites: unexpected TLS cipher suite %q", name)
		}
		c.CipherSuites = append(c.CipherSuites, id)
	}
	return c, nil
}

// verifyClient looks at a certificate whose chain is good: is it revoked, and is it for an allowed host?
// It is called for resumed sessions, too.
func (o *etcdOptions) verifyClient(c tls.ConnectionState) error {
	leaf := c.PeerCertificates[0]
	if allowed := split(o.allowedHostnames); len(allowed) > 0 {
		good := false
		for _, host := range allowed {
			good = good || leaf.VerifyHostname(host) == nil
		}
		if !good {
			return errors.New("client certificate authentication failed: it is for none of the allowed hostnames")
		}
	}
	if o.crl == "" {
		return nil
	}
	data, err := os.ReadFile(o.crl)
	if err != nil {
		return fmt.Errorf("read revoked certificates: %w", err)
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	list, err := x509.ParseRevocationList(data)
	if err != nil {
		return fmt.Errorf("read revoked certificates %s: %w", o.crl, err)
	}
	for _, r := range list.RevokedCertificateEntries {
		if r.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
			return errors.New("client certificate authentication failed: the certificate is revoked")
		}
	}
	return nil
}

// selfSigned returns a certificate that was made here, and is kept as long as it is valid: clients may know it.
func (o *etcdOptions) selfSigned(now time.Time) (certFile, keyFile string, err error) {
	dir := filepath.Join(o.dataDir, "fixtures", "client")
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if pair, err := tls.LoadX509KeyPair(certFile, keyFile); err == nil && pair.Leaf != nil && now.Before(pair.Leaf.NotAfter) {
		return certFile, keyFile, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("read the certificate of --auto-tls: %w; remove it to have another one made", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return "", "", fmt.Errorf("make a certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{"gitcd"}}, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Minute), NotAfter: now.AddDate(int(max(o.certYears, 1)), 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	places, err := placesOf("--listen-client-urls", o.listenClient+","+o.listenHTTP)
	if err != nil {
		return "", "", err
	}
	for _, p := range places {
		host, _, err := net.SplitHostPort(p.address)
		switch ip := net.ParseIP(host); {
		case err != nil:
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		default:
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", "", fmt.Errorf("make a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", fmt.Errorf("make a key: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", "", fmt.Errorf("write a certificate: %w", err)
	}
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			return "", "", fmt.Errorf("write a certificate: %w", err)
		}
	}
	return certFile, keyFile, nil
}
