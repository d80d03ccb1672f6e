// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// Encryption is the purpose, and so the name suffix, of the Secret with the EncryptionConfiguration.
	Encryption = secret.Purpose("encryption")

	// EncryptionConfigKey is the key of that Secret under which the configuration lies.
	EncryptionConfigKey = "config.yaml"

	// encryptionKeySize is what both providers take.
	encryptionKeySize = 32
)

// EncryptionProvider is a provider of kube-apiserver's EncryptionConfiguration that takes one random key.
type EncryptionProvider string

const (
	// Secretbox is XSalsa20 with Poly1305.
	Secretbox EncryptionProvider = "secretbox"

	// AESCBC is AES-CBC with PKCS#7 padding.
	AESCBC EncryptionProvider = "aescbc"
)

// encryptionConfig has no identity provider: a Secret that somebody puts into Git without knowing the key is not
// served.
const encryptionConfig = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources:
      - secrets
    providers:
      - %s:
          keys:
            - name: key1
              secret: %s
`

// ensureEncryption makes the encryption key once. It never touches one that exists, whatever its provider: what is
// encrypted with a lost key is lost.
func ensureEncryption(ctx context.Context, c client.Client, cluster client.ObjectKey, provider EncryptionProvider, owner metav1.OwnerReference) (bool, error) {
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: secret.Name(cluster.Name, Encryption)}
	have := &corev1.Secret{}
	err := c.Get(ctx, key, have)
	switch {
	case err == nil:
		if !strings.Contains(string(have.Data[EncryptionConfigKey]), "EncryptionConfiguration") {
			return false, fmt.Errorf("read encryption configuration: Secret %s has no EncryptionConfiguration under %s (put the one there that the cluster's Secrets were written with)",
				key, EncryptionConfigKey)
		}
		return false, nil
	case !apierrors.IsNotFound(err):
		return false, fmt.Errorf("read encryption configuration: %w", err)
	}
	random := make([]byte, encryptionKeySize)
	if _, err := rand.Read(random); err != nil {
		return false, fmt.Errorf("make encryption key: %w", err)
	}
	config := fmt.Appendf(nil, encryptionConfig, cmp.Or(provider, Secretbox), base64.StdEncoding.EncodeToString(random))
	if err := c.Create(ctx, clusterSecret(cluster, key.Name, owner, map[string][]byte{EncryptionConfigKey: config})); err != nil {
		return false, fmt.Errorf("create encryption configuration: %w", err)
	}
	return true, nil
}

func clusterSecret(cluster client.ObjectKey, name string, owner metav1.OwnerReference, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       cluster.Namespace,
			Name:            name,
			Labels:          map[string]string{clusterv1.ClusterNameLabel: cluster.Name},
			OwnerReferences: []metav1.OwnerReference{owner},
		},
		Type: clusterv1.ClusterSecretType,
		Data: data,
	}
}
