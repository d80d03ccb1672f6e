// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

var (
	blue  = client.ObjectKey{Namespace: "ns", Name: "blue"}
	owner = metav1.OwnerReference{APIVersion: "controlplane.cluster.x-k8s.io/v1alpha1", Kind: "HeadlessControlPlane", Name: "blue-x7", UID: "u1"}
)

// writes counts what a test's subject writes.
func countingClient(writes *int, objects ...client.Object) client.Client {
	return fake.NewClientBuilder().WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			*writes++
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			*writes++
			return c.Update(ctx, o, opts...)
		},
	}).Build()
}

func get(t *testing.T, c client.Client, name string) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: blue.Namespace, Name: name}, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Laws 1 and 2.
func TestEnsureClusterMakesEachSecretOnce(t *testing.T) {
	g := NewWithT(t)
	var writes int
	c := countingClient(&writes)

	made, err := EnsureCluster(t.Context(), c, blue, "", owner)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(made).To(Equal([]string{"blue-ca", "blue-proxy", "blue-sa", "blue-git-ca", "blue-encryption"}))
	for _, name := range made {
		s := get(t, c, name)
		g.Expect(s.Type).To(Equal(clusterv1.ClusterSecretType), name)
		g.Expect(s.Labels).To(HaveKeyWithValue(clusterv1.ClusterNameLabel, "blue"), name)
		g.Expect(s.OwnerReferences).To(Equal([]metav1.OwnerReference{owner}), name)
	}
	g.Expect(get(t, c, "blue-encryption").Data).To(HaveKeyWithValue("config.yaml", ContainSubstring("- secretbox:")))

	writes = 0
	again, err := EnsureCluster(t.Context(), c, blue, AESCBC, owner)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again).To(BeEmpty())
	g.Expect(writes).To(BeZero())
}

func TestEnsureClusterHonoursTheUsersOwn(t *testing.T) {
	g := NewWithT(t)
	ca := testAuthority(t)
	users := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "blue-ca", Labels: map[string]string{clusterv1.ClusterNameLabel: "blue"}},
		Type:       clusterv1.ClusterSecretType,
		Data:       map[string][]byte{secret.TLSCrtDataName: ca.Cert, secret.TLSKeyDataName: ca.Key},
	}
	var writes int
	c := countingClient(&writes, users)

	made, err := EnsureCluster(t.Context(), c, blue, AESCBC, owner)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(made).NotTo(ContainElement("blue-ca"))
	g.Expect(get(t, c, "blue-ca").OwnerReferences).To(BeEmpty())
	g.Expect(get(t, c, "blue-ca").Data).To(Equal(users.Data))
	g.Expect(get(t, c, "blue-encryption").Data).To(HaveKeyWithValue("config.yaml", ContainSubstring("- aescbc:")))
}

func TestEnsureClusterRefusesAForeignEncryptionSecret(t *testing.T) {
	c := fake.NewClientBuilder().WithObjects(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "blue-encryption"}}).Build()
	_, err := EnsureCluster(t.Context(), c, blue, "", owner)
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("has no EncryptionConfiguration under config.yaml")))
}

func TestEnsureKubeconfig(t *testing.T) {
	g := NewWithT(t)
	var writes int
	c := countingClient(&writes)
	_, err := EnsureCluster(t.Context(), c, blue, "", owner)
	g.Expect(err).NotTo(HaveOccurred())
	writes = 0
	now := time.Now()

	for _, row := range []struct {
		endpoint string
		at       time.Time
		why      string
		writes   int
	}{
		{"10.0.0.1:6443", now, "there was none yet", 1},
		{"10.0.0.1:6443", now, "", 1},
		{"10.0.0.1:6443", now.Add(200 * 24 * time.Hour), "", 1},
		{"api.example.org:443", now, "the endpoint has changed from https://10.0.0.1:6443 to https://api.example.org:443", 2},
		{"api.example.org:443", now.Add(250 * 24 * time.Hour), "less than a third of its certificate's life is left", 3},
	} {
		reason, failure := EnsureKubeconfig(t.Context(), c, blue, row.endpoint, owner, row.at)
		g.Expect(failure).NotTo(HaveOccurred())
		g.Expect(reason).To(Equal(row.why))
		g.Expect(writes).To(Equal(row.writes))
	}
	s := get(t, c, "blue-kubeconfig")
	config, err := clientcmd.RESTConfigFromKubeConfig(s.Data[secret.KubeconfigDataName])
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(config.Host).To(Equal("https://api.example.org:443"))
	g.Expect(config.CAData).To(Equal(get(t, c, "blue-ca").Data[secret.TLSCrtDataName]))

	s.OwnerReferences = nil
	g.Expect(c.Update(t.Context(), s)).To(Succeed())
	why, err := EnsureKubeconfig(t.Context(), c, blue, "elsewhere:6443", owner, now)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(why).To(BeEmpty(), "the user's own is left alone")
}
