// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func wanted(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "ns", Name: "c", Labels: map[string]string{clusterv1.ClusterNameLabel: "blue"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Heaven", Name: "h", UID: "u1", Controller: new(true)}},
		},
		Data: data,
	}
}

func applier(writes *int, objects ...client.Object) Applier {
	c := fake.NewClientBuilder().WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			*writes++
			return c.Apply(ctx, o, opts...)
		},
	}).Build()
	return Applier{Client: c, Owner: "test"}
}

// Laws 1 and 2.
func TestApply(t *testing.T) {
	g := NewWithT(t)
	var writes int
	a := applier(&writes)
	apply := func(data map[string]string) (*corev1.ConfigMap, bool) {
		have := &corev1.ConfigMap{}
		changed, err := a.Apply(t.Context(), wanted(data), have)
		g.Expect(err).NotTo(HaveOccurred())
		return have, changed
	}

	have, changed := apply(map[string]string{"a": "1", "b": "2"})
	g.Expect(changed).To(BeTrue())
	g.Expect(have.Data).To(Equal(map[string]string{"a": "1", "b": "2"}))
	g.Expect(have.ResourceVersion).NotTo(BeEmpty(), "the server's answer")

	_, changed = apply(map[string]string{"a": "1", "b": "2"})
	g.Expect(changed).To(BeFalse())
	g.Expect(writes).To(Equal(1))

	stranger := have.DeepCopy()
	stranger.Data["c"] = "3"
	stranger.Labels["mine"] = "too"
	g.Expect(a.Client.Update(t.Context(), stranger)).To(Succeed())
	_, changed = apply(map[string]string{"a": "1", "b": "2"})
	g.Expect(changed).To(BeFalse(), "what others set beside ours stays")

	stranger.Data["a"] = "changed"
	g.Expect(a.Client.Update(t.Context(), stranger)).To(Succeed())
	have, changed = apply(map[string]string{"a": "1", "b": "2"})
	g.Expect(changed).To(BeTrue(), "what they change of ours is set back")
	g.Expect(have.Data).To(Equal(map[string]string{"a": "1", "b": "2", "c": "3"}))

	have, changed = apply(map[string]string{"a": "1"})
	g.Expect(changed).To(BeTrue(), "what is no longer wanted goes")
	g.Expect(have.Data).NotTo(HaveKey("b"))
}

// Law 3.
func TestApplyLeavesStrangersAlone(t *testing.T) {
	for name, change := range map[string]func(*corev1.ConfigMap){
		"belongs to Deployment d": func(c *corev1.ConfigMap) {
			c.OwnerReferences[0].Kind, c.OwnerReferences[0].Name, c.OwnerReferences[0].UID = "Deployment", "d", "u2"
		},
		`belongs to cluster ""`:     func(c *corev1.ConfigMap) { c.OwnerReferences, c.Labels = nil, nil },
		`belongs to cluster "green`: func(c *corev1.ConfigMap) { c.OwnerReferences, c.Labels[clusterv1.ClusterNameLabel] = nil, "green" },
	} {
		var writes int
		existing := wanted(nil)
		change(existing)
		g := NewWithT(t)
		_, err := applier(&writes, existing).Apply(t.Context(), wanted(nil), &corev1.ConfigMap{})
		g.Expect(err).To(MatchError(ContainSubstring(name)))
		g.Expect(writes).To(BeZero())
	}
}

// A cache that sees only what has our labels says that a stranger's object is absent.
func TestApplyDoesNotBelieveTheCacheThatNothingIsThere(t *testing.T) {
	stranger := wanted(nil)
	stranger.OwnerReferences, stranger.Labels = nil, nil
	var writes int
	a := applier(&writes)
	a.Live = applier(&writes, stranger).Client
	_, err := a.Apply(t.Context(), wanted(nil), &corev1.ConfigMap{})
	g := NewWithT(t)
	g.Expect(err).To(MatchError(ContainSubstring("it exists and belongs to")))
	g.Expect(writes).To(BeZero())
}

func TestApplyLeavesTheDyingAlone(t *testing.T) {
	now := metav1.Now()
	dying := wanted(map[string]string{"a": "0"})
	dying.DeletionTimestamp, dying.Finalizers = &now, []string{"x/y"}
	var writes int
	changed, err := applier(&writes, dying).Apply(t.Context(), wanted(map[string]string{"a": "1"}), &corev1.ConfigMap{})
	g := NewWithT(t)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(changed).To(BeFalse())
	g.Expect(writes).To(BeZero())
}
