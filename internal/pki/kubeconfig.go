// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/util/certs"
	"sigs.k8s.io/cluster-api/util/kubeconfig"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// EnsureKubeconfig keeps the Secret <cluster>-kubeconfig: it leads to endpoint (host:port), its certificate is fresh and
// signed by the cluster's authority. One that the user provides (it is not owned by owner) is left alone. The answer is
// why the Secret was written; empty when it was not.
func EnsureKubeconfig(ctx context.Context, c client.Client, cluster client.ObjectKey, endpoint string, owner metav1.OwnerReference, now time.Time) (string, error) {
	ca, err := authority(ctx, c, client.ObjectKey{Namespace: cluster.Namespace, Name: secret.Name(cluster.Name, secret.ClusterCA)})
	if err != nil {
		return "", err
	}
	server := (&url.URL{Scheme: "https", Host: endpoint}).String()
	have := &corev1.Secret{}
	err = c.Get(ctx, client.ObjectKey{Namespace: cluster.Namespace, Name: secret.Name(cluster.Name, secret.Kubeconfig)}, have)
	switch {
	case apierrors.IsNotFound(err):
		return "there was none yet", createKubeconfig(ctx, c, cluster, server, owner, ca)
	case err != nil:
		return "", fmt.Errorf("read kubeconfig: %w", err)
	case !ownedBy(have, owner):
		return "", nil
	}
	why := kubeconfigMisfit(have.Data[secret.KubeconfigDataName], cluster.Name, server, ca, now)
	if why == "" {
		return "", nil
	}
	data, err := adminKubeconfig(cluster.Name, server, ca)
	if err != nil {
		return "", err
	}
	fresh := have.DeepCopy()
	fresh.Data = map[string][]byte{secret.KubeconfigDataName: data}
	if err := c.Update(ctx, fresh); err != nil {
		return "", fmt.Errorf("update kubeconfig: %w", err)
	}
	return why, nil
}

func createKubeconfig(ctx context.Context, c client.Client, cluster client.ObjectKey, server string, owner metav1.OwnerReference, ca *Authority) error {
	data, err := adminKubeconfig(cluster.Name, server, ca)
	if err != nil {
		return err
	}
	if err := c.Create(ctx, kubeconfig.GenerateSecretWithOwner(cluster, data, owner)); err != nil {
		return fmt.Errorf("create kubeconfig: %w", err)
	}
	return nil
}

func adminKubeconfig(cluster, server string, ca *Authority) ([]byte, error) {
	config, err := kubeconfig.New(cluster, server, ca.cert, ca.signer,
		kubeconfig.KeyEncryptionAlgorithm(bootstrapv1.EncryptionAlgorithmECDSAP256))
	if err != nil {
		return nil, fmt.Errorf("make kubeconfig: %w", err)
	}
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("write kubeconfig: %w", err)
	}
	return data, nil
}

// kubeconfigMisfit says why a kubeconfig cannot go on; it is empty when it can.
func kubeconfigMisfit(data []byte, cluster, server string, ca *Authority, now time.Time) string {
	config, err := clientcmd.Load(data)
	if err != nil || config.Clusters[cluster] == nil || config.Contexts[config.CurrentContext] == nil {
		return "it is unreadable"
	}
	user := config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo]
	if user == nil {
		return "it is unreadable"
	}
	cert, err := certs.DecodeCertPEM(user.ClientCertificateData)
	if err != nil {
		return "its certificate is unreadable"
	}
	have, err := certs.DecodeCertPEM(config.Clusters[cluster].CertificateAuthorityData)
	switch {
	case err != nil || !bytes.Equal(have.Raw, ca.cert.Raw) || cert.CheckSignatureFrom(ca.cert) != nil:
		return "the certificate authority has changed"
	case config.Clusters[cluster].Server != server:
		return fmt.Sprintf("the endpoint has changed from %s to %s", config.Clusters[cluster].Server, server)
	case !now.Before(renewAt(cert)):
		return "less than a third of its certificate's life is left"
	}
	return ""
}

func authority(ctx context.Context, c client.Reader, key client.ObjectKey) (*Authority, error) {
	s := &corev1.Secret{}
	if err := c.Get(ctx, key, s); err != nil {
		return nil, fmt.Errorf("read certificate authority: %w", err)
	}
	return ParseAuthority(s)
}

// ownedBy goes by kind and name, since after a move the owner has another UID.
func ownedBy(s *corev1.Secret, owner metav1.OwnerReference) bool {
	for _, have := range s.OwnerReferences {
		if have.Kind == owner.Kind && have.Name == owner.Name {
			return true
		}
	}
	return false
}
