// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"time"

	"sigs.k8s.io/cluster-api/util/certs"
)

// DefaultLife is how long a leaf certificate is valid when its wish does not say.
const DefaultLife = 365 * 24 * time.Hour

// Leaf is what a certificate shall say. Organizations, names and addresses are sets: their order means nothing.
type Leaf struct {
	CommonName    string
	Organizations []string
	DNSNames      []string
	IPs           []net.IP
	// Server and Client say for which side of a TLS connection the certificate is good.
	Server, Client bool
	// Life is DefaultLife when zero.
	Life time.Duration
}

func (l Leaf) life() time.Duration {
	if l.Life > 0 {
		return l.Life
	}
	return DefaultLife
}

func (l Leaf) usages() []x509.ExtKeyUsage {
	var usages []x509.ExtKeyUsage
	if l.Server {
		usages = append(usages, x509.ExtKeyUsageServerAuth)
	}
	if l.Client {
		usages = append(usages, x509.ExtKeyUsageClientAuth)
	}
	return usages
}

// Misfit says why pair cannot go on as the certificate that leaf wishes; it is empty when it can.
func (a *Authority) Misfit(pair KeyPair, leaf Leaf, now time.Time) string {
	if len(pair.Cert) == 0 || len(pair.Key) == 0 {
		return "there is none yet"
	}
	cert, err := certs.DecodeCertPEM(pair.Cert)
	if err != nil {
		return "the certificate is unreadable"
	}
	key, err := certs.DecodePrivateKeyPEM(pair.Key)
	if err != nil {
		return "the private key is unreadable"
	}
	for _, rule := range []struct {
		broken bool
		why    string
	}{
		{!samePublicKey(cert.PublicKey, key.Public()), "the private key belongs to another certificate"},
		{cert.CheckSignatureFrom(a.cert) != nil, "the certificate authority has changed"},
		{cert.Subject.CommonName != leaf.CommonName, fmt.Sprintf("it is for %q, not for %q", cert.Subject.CommonName, leaf.CommonName)},
		{!sameSet(cert.Subject.Organization, leaf.Organizations), "its organizations have changed"},
		{!sameSet(cert.DNSNames, leaf.DNSNames), "its DNS names have changed"},
		{!sameSet(addresses(cert.IPAddresses), addresses(leaf.IPs)), "its IP addresses have changed"},
		{!slices.Equal(cert.ExtKeyUsage, leaf.usages()), "its usages have changed"},
		// An authority about to end cannot give more time than the leaf already has: renewing would go on for ever.
		{!now.Before(renewAt(cert)) && a.end(leaf, now).After(cert.NotAfter), "less than a third of its life is left"},
	} {
		if rule.broken {
			return rule.why
		}
	}
	return ""
}

// renewAt is the moment from which less than a third of the certificate's life is left.
func renewAt(cert *x509.Certificate) time.Time {
	return cert.NotAfter.Add(-cert.NotAfter.Sub(cert.NotBefore) / 3)
}

func addresses(ips []net.IP) []string {
	texts := make([]string, 0, len(ips))
	for _, ip := range ips {
		texts = append(texts, ip.String())
	}
	return texts
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
