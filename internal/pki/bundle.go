// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"fmt"
	"maps"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/cluster-api/util/certs"
)

// Wish is one certificate of a Secret: Name.crt and Name.key and, when Server is set, Name.conf, a kubeconfig that
// shows the certificate to that server.
type Wish struct {
	Name      string
	Authority *Authority
	Leaf      Leaf
	// Server is the URL that the kubeconfig leads to; the server must be certified by the same authority.
	Server string
}

// Bundle is the content of a Secret of leaf certificates.
type Bundle struct {
	// Data has exactly the files that the wishes name.
	Data map[string][]byte
	// Renewed says, in the order of the wishes, which certificates were made and why.
	Renewed []Renewal
	// NextRenewal is the earliest moment at which a certificate of the bundle is to be made anew.
	NextRenewal time.Time
}

// Renewal is one certificate that was made, and the reason.
type Renewal struct {
	Name string
	Why  string
}

// String is the renewal as a person reads it in an event.
func (r Renewal) String() string {
	return fmt.Sprintf("made certificate %s: %s", r.Name, r.Why)
}

// Renew makes the certificates that are missing or no longer fit and keeps the others byte for byte.
func Renew(have map[string][]byte, wishes []Wish, now time.Time) (Bundle, error) {
	bundle := Bundle{Data: make(map[string][]byte, 3*len(wishes))}
	for _, wish := range wishes {
		pair := KeyPair{Cert: have[wish.Name+".crt"], Key: have[wish.Name+".key"]}
		if why := wish.Authority.Misfit(pair, wish.Leaf, now); why != "" {
			fresh, err := wish.Authority.Issue(wish.Leaf, now)
			if err != nil {
				return Bundle{}, err
			}
			pair = fresh
			bundle.Renewed = append(bundle.Renewed, Renewal{Name: wish.Name, Why: why})
		}
		bundle.Data[wish.Name+".crt"], bundle.Data[wish.Name+".key"] = pair.Cert, pair.Key
		if err := bundle.note(pair); err != nil {
			return Bundle{}, err
		}
		if wish.Server == "" {
			continue
		}
		config, err := localKubeconfig(wish, pair)
		if err != nil {
			return Bundle{}, err
		}
		bundle.Data[wish.Name+".conf"] = config
	}
	return bundle, nil
}

// Same says whether the bundle holds the very files that are there already.
func (b Bundle) Same(have map[string][]byte) bool {
	return maps.EqualFunc(b.Data, have, bytes.Equal)
}

func (b *Bundle) note(pair KeyPair) error {
	cert, err := certs.DecodeCertPEM(pair.Cert)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	if at := renewAt(cert); b.NextRenewal.IsZero() || at.Before(b.NextRenewal) {
		b.NextRenewal = at
	}
	return nil
}

// localKubeconfig leads a component to the kube-apiserver beside it. Its bytes depend on nothing but its arguments.
func localKubeconfig(wish Wish, pair KeyPair) ([]byte, error) {
	const name = "heaven"
	config := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: {Server: wish.Server, CertificateAuthorityData: wish.Authority.Cert}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{wish.Name: {ClientCertificateData: pair.Cert, ClientKeyData: pair.Key}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: wish.Name}},
		CurrentContext: name,
	}
	data, err := clientcmd.Write(config)
	if err != nil {
		return nil, fmt.Errorf("write kubeconfig of %s: %w", wish.Name, err)
	}
	return data, nil
}
