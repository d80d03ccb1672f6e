// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitrepository

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		forge  heavenv1.ForgeType
		status metav1.ConditionStatus
		reason string
	}{
		{heavenv1.ForgeNone, metav1.ConditionTrue, ReasonKeptByHub},
		{"", metav1.ConditionTrue, ReasonKeptByHub},
		{heavenv1.ForgeGit, metav1.ConditionTrue, ReasonForgeGiven},
		{"Sourcehut", metav1.ConditionFalse, ReasonForgeNotSupported},
	} {
		got := judge(&heavenv1.GitRepository{Spec: heavenv1.GitRepositorySpec{Forge: heavenv1.Forge{Type: tc.forge}}})
		if got.Status != tc.status || got.Reason != tc.reason {
			t.Errorf("%q: got %s %s, want %s %s", tc.forge, got.Status, got.Reason, tc.status, tc.reason)
		}
	}
}

// reconcile runs the reconciler until it changes nothing any more.
func reconcile(t *testing.T, objects ...client.Object) (*heavenv1.GitRepository, client.Client) {
	t.Helper()
	c := fake.NewClientBuilder().WithScheme(hosttest.Scheme(t)).WithStatusSubresource(&heavenv1.GitRepository{}).WithObjects(objects...).Build()
	key := client.ObjectKey{Namespace: "default", Name: "blue"}
	for range 3 {
		if _, err := (&Reconciler{Client: c}).Reconcile(t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
			t.Fatal(err)
		}
	}
	got := &heavenv1.GitRepository{}
	if err := c.Get(t.Context(), key, got); err != nil {
		t.Fatal(err)
	}
	return got, c
}

func repository() *heavenv1.GitRepository {
	return &heavenv1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue", Generation: 3},
		Spec:       heavenv1.GitRepositorySpec{ClusterName: "blue", Forge: heavenv1.Forge{Type: heavenv1.ForgeNone}},
	}
}

func TestReadyWithoutForge(t *testing.T) {
	t.Parallel()
	got, _ := reconcile(t, repository())
	ready := conditions.Get(got, heavenv1.RepositoryReady)
	if ready == nil || ready.Status != metav1.ConditionTrue || !strings.Contains(ready.Message, "hub") {
		t.Errorf("Ready is %+v", ready)
	}
	if got.Status.ObservedGeneration != 3 || len(got.Finalizers) != 0 {
		t.Errorf("got %+v, finalizers %v", got.Status, got.Finalizers)
	}
}

func TestForge(t *testing.T) {
	t.Parallel()
	r := repository()
	r.Spec.Forge = heavenv1.Forge{Type: heavenv1.ForgeGit, Git: &heavenv1.GitForge{URL: "https://forge.example.org/blue.git"}}
	got, _ := reconcile(t, r)
	if !conditions.IsTrue(got, heavenv1.RepositoryReady) || got.Status.URL != "https://forge.example.org/blue.git" || len(got.Finalizers) != 0 {
		t.Errorf("got %+v, finalizers %v", got.Status, got.Finalizers)
	}
}

func TestPausedWithItsCluster(t *testing.T) {
	t.Parallel()
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}, Spec: clusterv1.ClusterSpec{Paused: new(true)}}
	got, _ := reconcile(t, repository(), cluster)
	if conditions.Get(got, heavenv1.RepositoryReady) != nil || !conditions.IsTrue(got, clusterv1.PausedCondition) {
		t.Errorf("conditions are %+v", got.Status.Conditions)
	}
}
