// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// GitCA is the purpose, and so the name suffix, of the authority between a hub and its heavens.
const GitCA = secret.Purpose("git-ca")

// Names are the Secrets that a heaven's certificates are made from, all in one namespace.
type Names struct {
	ClusterCA      string
	FrontProxyCA   string
	ServiceAccount string
	GitCA          string
	Encryption     string
}

// DefaultNames are the names that Cluster API's contract, and this package for its own, gives to a cluster's Secrets.
func DefaultNames(cluster string) Names {
	return Names{
		ClusterCA:      secret.Name(cluster, secret.ClusterCA),
		FrontProxyCA:   secret.Name(cluster, secret.FrontProxyCA),
		ServiceAccount: secret.Name(cluster, secret.ServiceAccount),
		GitCA:          secret.Name(cluster, GitCA),
		Encryption:     secret.Name(cluster, Encryption),
	}
}

// EnsureCluster makes the decisive Secrets of a cluster that do not exist, owned by owner, and checks that those which
// exist can be used. It says which it made. A provider that is not given is Secretbox.
func EnsureCluster(ctx context.Context, c client.Client, cluster client.ObjectKey, provider EncryptionProvider, owner metav1.OwnerReference) ([]string, error) {
	// Elliptic keys: a connection costs a fraction of the processor time that RSA takes, and hosts can be small. Service
	// account tokens stay with RSA, which every verifier of tokens outside the cluster understands.
	wanted := secret.Certificates{
		{Purpose: secret.ClusterCA, KeyEncryptionAlgorithm: bootstrapv1.EncryptionAlgorithmECDSAP256},
		{Purpose: secret.FrontProxyCA, KeyEncryptionAlgorithm: bootstrapv1.EncryptionAlgorithmECDSAP256},
		{Purpose: secret.ServiceAccount},
		{Purpose: GitCA, KeyEncryptionAlgorithm: bootstrapv1.EncryptionAlgorithmECDSAP256},
	}
	if err := wanted.LookupOrGenerate(ctx, c, cluster, owner); err != nil {
		return nil, fmt.Errorf("make certificate authorities of cluster %s: %w", cluster, err)
	}
	var made []string
	for _, certificate := range wanted {
		if certificate.Generated {
			made = append(made, certificate.Secret.Name)
		}
		if certificate.Purpose == secret.ServiceAccount {
			if len(certificate.KeyPair.Cert) == 0 || len(certificate.KeyPair.Key) == 0 {
				return nil, fmt.Errorf("read service account keys: Secret %s needs the public key in %s and the private key in %s",
					client.ObjectKeyFromObject(certificate.Secret), secret.TLSCrtDataName, secret.TLSKeyDataName)
			}
			continue
		}
		if _, err := ParseAuthority(certificate.Secret); err != nil {
			return nil, err
		}
	}
	fresh, err := ensureEncryption(ctx, c, cluster, provider, owner)
	if err != nil {
		return nil, err
	}
	if fresh {
		made = append(made, secret.Name(cluster.Name, Encryption))
	}
	return made, nil
}
