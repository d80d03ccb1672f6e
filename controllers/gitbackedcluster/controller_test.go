// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedcluster

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
)

var key = client.ObjectKey{Namespace: "default", Name: "blue"}

func cluster() *clusterv1.Cluster {
	return &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: "cluster"}}
}

func infra() *infrav1.GitBackedCluster {
	return &infrav1.GitBackedCluster{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name, UID: "infra", Generation: 1, Finalizers: []string{infrav1.ClusterFinalizer},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: key.Name, UID: "cluster"}},
	}}
}

func repository(clusterName string, ready metav1.ConditionStatus) *heavenv1.GitRepository {
	r := &heavenv1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Spec:       heavenv1.GitRepositorySpec{ClusterName: clusterName, Forge: heavenv1.Forge{Type: heavenv1.ForgeNone}, DeletionPolicy: heavenv1.DeletionDelete},
	}
	if ready != "" {
		conditions.Set(r, metav1.Condition{Type: heavenv1.RepositoryReady, Status: ready, Reason: "Because", Message: "its message"})
	}
	return r
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	now := metav1.Now()
	for _, tc := range []struct {
		name       string
		deleting   bool
		repository *heavenv1.GitRepository
		foreign    bool
		status     metav1.ConditionStatus
		reason     string
	}{
		{"deleting, there", true, repository("blue", metav1.ConditionTrue), false, metav1.ConditionFalse, ReasonRepositoryDeleting},
		{"deleting, gone", true, nil, false, metav1.ConditionFalse, ReasonRepositoryDeleted},
		{"gone", false, nil, false, metav1.ConditionUnknown, ReasonRepositoryUnhandled},
		{"of another", false, repository("red", metav1.ConditionTrue), true, metav1.ConditionFalse, ReasonRepositoryNotOurs},
		{"not said", false, repository("blue", ""), false, metav1.ConditionUnknown, ReasonRepositoryCreating},
		{"unknown", false, repository("blue", metav1.ConditionUnknown), false, metav1.ConditionUnknown, ReasonRepositoryCreating},
		{"not ready", false, repository("blue", metav1.ConditionFalse), false, metav1.ConditionFalse, ReasonRepositoryNotReady},
		{"ready", false, repository("blue", metav1.ConditionTrue), false, metav1.ConditionTrue, ReasonRepositoryReady},
	} {
		s := &scope{infra: infra(), clusterName: "blue", repository: tc.repository, foreign: tc.foreign}
		if tc.deleting {
			s.infra.DeletionTimestamp = &now
		}
		judge(s)
		got := conditions.Get(s.infra, infrav1.ClusterRepositoryReady)
		if got.Status != tc.status || got.Reason != tc.reason || got.Message == "" {
			t.Errorf("%s: got %+v, want %s %s", tc.name, got, tc.status, tc.reason)
		}
		if sum := conditions.Get(s.infra, infrav1.ClusterReady); sum.Status != tc.status {
			t.Errorf("%s: Ready is %+v", tc.name, sum)
		}
		if gone := conditions.IsTrue(s.infra, infrav1.ClusterDeleting); gone != tc.deleting {
			t.Errorf("%s: Deleting is %t", tc.name, gone)
		}
	}
}

type world struct {
	client.Client
	t      *testing.T
	events *events.FakeRecorder
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	c := fake.NewClientBuilder().WithScheme(hosttest.Scheme(t)).
		WithStatusSubresource(&infrav1.GitBackedCluster{}, &heavenv1.GitRepository{}).WithObjects(objects...).Build()
	return &world{Client: c, t: t, events: events.NewFakeRecorder(10)}
}

// settle reconciles until nothing changes any more and returns the object, nil when it is gone.
func (w *world) settle() *infrav1.GitBackedCluster {
	w.t.Helper()
	for range 4 {
		if _, err := (&Reconciler{Client: w, recorder: w.events}).Reconcile(w.t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
			w.t.Fatal(err)
		}
	}
	got := &infrav1.GitBackedCluster{}
	if err := w.Get(w.t.Context(), key, got); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func TestFromNothingToProvisionedToGone(t *testing.T) {
	t.Parallel()
	fresh := infra()
	fresh.Finalizers = nil
	fresh.Spec.FailureDomains = []clusterv1.FailureDomain{{Name: "a", ControlPlane: new(true)}}
	w := newWorld(t, cluster(), fresh)

	got := w.settle()
	repo := &heavenv1.GitRepository{}
	if err := w.Get(t.Context(), key, repo); err != nil {
		t.Fatal(err)
	}
	if !metav1.IsControlledBy(repo, got) || repo.Labels[clusterv1.ClusterNameLabel] != "blue" || repo.Spec.Forge.Type != heavenv1.ForgeNone || repo.Spec.DeletionPolicy != heavenv1.DeletionDelete {
		t.Errorf("repository is %+v", repo)
	}
	if got.Status.Initialization.Provisioned != nil || len(got.Finalizers) != 1 {
		t.Errorf("provisioned before the repository is ready, or without finalizer: %+v", got)
	}

	conditions.Set(repo, metav1.Condition{Type: heavenv1.RepositoryReady, Status: metav1.ConditionTrue, Reason: "KeptByHub"})
	if err := w.Status().Update(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	got = w.settle()
	if p := got.Status.Initialization.Provisioned; p == nil || !*p || len(got.Status.FailureDomains) != 1 || !conditions.IsTrue(got, infrav1.ClusterReady) {
		t.Errorf("not provisioned: %+v", got.Status)
	}

	// Law 4.
	conditions.Set(repo, metav1.Condition{Type: heavenv1.RepositoryReady, Status: metav1.ConditionFalse, Reason: "Lost"})
	if err := w.Status().Update(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	got = w.settle()
	if p := got.Status.Initialization.Provisioned; p == nil || !*p || conditions.IsTrue(got, infrav1.ClusterReady) {
		t.Errorf("provisioned is not for ever, or Ready does not follow: %+v", got.Status)
	}

	// Law 2: a repository that takes its time holds the infrastructure.
	repo.Finalizers = []string{"example.org/slow"}
	if err := w.Update(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	if err := w.Delete(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if got = w.settle(); got == nil || !conditions.IsTrue(got, infrav1.ClusterDeleting) {
		t.Fatalf("the infrastructure went before its repository: %+v", got)
	}
	if err := w.Get(t.Context(), key, repo); err != nil {
		t.Fatal(err)
	}
	repo.Finalizers = nil
	if err := w.Update(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	if got = w.settle(); got != nil {
		t.Errorf("still there: %+v", got)
	}
}

func TestSpecReachesTheRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cluster(), infra())
	got := w.settle()
	got.Spec.Repository.DeletionPolicy = heavenv1.DeletionRetain
	if err := w.Update(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	w.settle()
	repo := &heavenv1.GitRepository{}
	if err := w.Get(t.Context(), key, repo); err != nil || repo.Spec.DeletionPolicy != heavenv1.DeletionRetain {
		t.Errorf("got %+v, %v", repo.Spec, err)
	}
}

// The forge comes with all that says where it is, and is written once.
func TestForgeReachesTheRepository(t *testing.T) {
	t.Parallel()
	forged := infra()
	forged.Spec.Repository.Forge = heavenv1.Forge{Type: heavenv1.ForgeGit, Git: &heavenv1.GitForge{
		URL: "https://forge.example.org/blue.git", Webhook: heavenv1.ForgeWebhook{SecretRef: heavenv1.LocalReference{Name: "hook"}},
	}}
	w := newWorld(t, cluster(), forged)
	w.settle()
	repo := &heavenv1.GitRepository{}
	if err := w.Get(t.Context(), key, repo); err != nil {
		t.Fatal(err)
	}
	if !equality.Semantic.DeepEqual(repo.Spec.Forge, forged.Spec.Repository.Forge) {
		t.Errorf("the repository's forge is %+v", repo.Spec.Forge)
	}
	version := repo.ResourceVersion
	w.settle()
	if err := w.Get(t.Context(), key, repo); err != nil {
		t.Fatal(err)
	}
	if repo.ResourceVersion != version {
		t.Error("what is as it shall be was written again")
	}
}

func TestLawNotOursIsKept(t *testing.T) {
	t.Parallel()
	users := repository("blue", metav1.ConditionTrue)
	users.Spec.DeletionPolicy = heavenv1.DeletionRetain
	w := newWorld(t, cluster(), infra(), users)
	got := w.settle()
	if p := got.Status.Initialization.Provisioned; p == nil || !*p {
		t.Errorf("a repository that the user made is not used: %+v", got.Status)
	}
	if err := w.Delete(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if w.settle() != nil {
		t.Error("the infrastructure waits for a repository that is not its own")
	}
	repo := &heavenv1.GitRepository{}
	if err := w.Get(t.Context(), key, repo); err != nil || repo.Spec != users.Spec {
		t.Errorf("the user's repository was touched: %+v, %v", repo.Spec, err)
	}
}

func TestRepositoryOfAnotherCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cluster(), infra(), repository("red", metav1.ConditionTrue))
	got := w.settle()
	ready := conditions.Get(got, infrav1.ClusterReady)
	if got.Status.Initialization.Provisioned != nil || ready.Reason != ReasonRepositoryNotOurs || !strings.Contains(ready.Message, "red") {
		t.Errorf("got %+v", got.Status)
	}
}

func TestDeletedWhileItsClusterIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cluster(), infra())
	got := w.settle()
	got.Labels = map[string]string{clusterv1.ClusterNameLabel: "blue"}
	if err := w.Update(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []client.Object{cluster(), got} {
		if err := w.Delete(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	if got = w.settle(); got != nil {
		t.Errorf("held back: %+v", got)
	}
	if err := w.Get(t.Context(), key, &heavenv1.GitRepository{}); !apierrors.IsNotFound(err) {
		t.Errorf("the repository was left: %v", err)
	}
}

func TestWaitsForOwnerAndPause(t *testing.T) {
	t.Parallel()
	orphan := infra()
	orphan.OwnerReferences, orphan.Finalizers = nil, nil
	if got := newWorld(t, cluster(), orphan).settle(); len(got.Finalizers) != 0 || len(got.Status.Conditions) != 0 {
		t.Errorf("an object without owner was touched: %+v", got)
	}
	asleep := cluster()
	asleep.Spec.Paused = new(true)
	w := newWorld(t, asleep, infra())
	if got := w.settle(); !conditions.IsTrue(got, clusterv1.PausedCondition) || conditions.Get(got, infrav1.ClusterReady) != nil {
		t.Errorf("a paused object was reconciled: %+v", got.Status)
	}
	if err := w.Get(t.Context(), key, &heavenv1.GitRepository{}); !apierrors.IsNotFound(err) {
		t.Errorf("a paused object made a repository: %v", err)
	}
}
