// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// fakeHub answers what the test says.
type fakeHub struct {
	status HubStatus
	err    error
	asked  []HubAddress
}

func (f *fakeHub) Status(_ context.Context, a HubAddress) (HubStatus, error) {
	f.asked = append(f.asked, a)
	return f.status, f.err
}

// host is a host cluster in memory, and counts what is written to it.
type host struct {
	*GomegaWithT
	t      *testing.T
	client client.Client
	writes hosttest.Writes
	hub    *fakeHub
	r      *Reconciler
}

var name = client.ObjectKey{Namespace: "default", Name: "blue"}

func newHost(t *testing.T, objects ...client.Object) *host {
	t.Helper()
	h := &host{GomegaWithT: NewWithT(t), t: t, hub: &fakeHub{}}
	h.client = fake.NewClientBuilder().WithScheme(hosttest.Scheme(t)).WithObjects(append(objects, wanted(t))...).
		WithStatusSubresource(&heavenv1.AutomatedMerge{}, &appsv1.Deployment{}).
		WithInterceptorFuncs(h.writes.Funcs()).Build()
	h.r = &Reconciler{
		Client: h.client, Recorder: events.NewFakeRecorder(1000), Hubs: h.hub,
		Clock: clocktesting.NewFakePassiveClock(time.Now()),
	}
	return h
}

func wanted(t *testing.T) *heavenv1.AutomatedMerge {
	t.Helper()
	hcp := &controlplanev1.HeadlessControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	hcp.Spec.Version = "v1.36.3"
	want, err := heaven.Set(&clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}, hcp)
	if err != nil {
		t.Fatal(err)
	}
	want.Merge.UID = "merge-uid"
	return want.Merge
}

// reconcile answers with the time after which to look again.
func (h *host) reconcile() time.Duration {
	h.t.Helper()
	result, err := h.r.Reconcile(h.t.Context(), ctrl.Request{NamespacedName: name})
	h.Expect(err).NotTo(HaveOccurred())
	return result.RequeueAfter
}

// settle reconciles until nothing is written any more.
func (h *host) settle() {
	h.t.Helper()
	h.writes.Settle(h.t, func() { h.reconcile() })
}

func (h *host) get(name string, into client.Object) {
	h.t.Helper()
	h.Expect(h.client.Get(h.t.Context(), client.ObjectKey{Namespace: "default", Name: name}, into)).To(Succeed())
}

func (h *host) merge() *heavenv1.AutomatedMerge {
	h.t.Helper()
	out := &heavenv1.AutomatedMerge{}
	h.get("blue", out)
	return out
}

func (h *host) condition(kind string) metav1.Condition {
	h.t.Helper()
	c := conditions.Get(h.merge(), kind)
	h.Expect(c).NotTo(BeNil(), kind)
	return *c
}

func (h *host) makeKeys() {
	h.t.Helper()
	_, err := pki.EnsureCluster(h.t.Context(), h.client, name, "",
		metav1.OwnerReference{APIVersion: "v1", Kind: "HeadlessControlPlane", Name: "blue", UID: "u"})
	h.Expect(err).NotTo(HaveOccurred())
}

// run does what the host cluster does: it gives the Service addresses, and runs the pod.
func (h *host) run() {
	h.t.Helper()
	service := &corev1.Service{}
	h.get("blue-hub", service)
	service.Spec.ClusterIP = "10.203.0.18"
	service.Spec.Ports[0].NodePort = 30443
	h.Expect(h.client.Update(h.t.Context(), service)).To(Succeed())
	d := &appsv1.Deployment{}
	h.get("blue-hub", d)
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, UpdatedReplicas: 1, AvailableReplicas: 1}
	h.Expect(h.client.Status().Update(h.t.Context(), d)).To(Succeed())
}

func node() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{
		Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.201.0.1"}},
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}}
}

func TestHubFromNothingToMain(t *testing.T) {
	h := newHost(t, node())
	h.settle()
	h.Expect(h.condition(heavenv1.MergeAvailable)).To(And(
		HaveField("Reason", ReasonSecretMissing), HaveField("Message", ContainSubstring("Secret blue-git-ca"))))
	h.Expect(h.condition(heavenv1.MergeEndpointReady).Status).To(Equal(metav1.ConditionFalse))

	h.makeKeys()
	h.settle()
	h.Expect(h.hub.asked).To(BeEmpty(), "nobody is there to ask")
	h.run()
	h.hub.err = errors.New("connection refused")
	h.settle()
	h.Expect(h.condition(heavenv1.MergeAvailable)).To(And(HaveField("Reason", ReasonNotAnswering), HaveField("Message", "Connection refused")))
	h.Expect(h.condition(heavenv1.MergeMainReady).Status).To(Equal(metav1.ConditionUnknown))
	h.Expect(h.merge().Status.Endpoint).To(Equal(heavenv1.MergeEndpoint{
		Internal: heavenv1.Endpoint{Host: "10.203.0.18", Port: 8443},
		External: heavenv1.Endpoint{Host: "10.201.0.1", Port: 30443},
	}))

	h.hub.err = nil
	h.settle()
	h.Expect(h.reconcile()).To(Equal(askSoon), "everybody waits for main")
	h.Expect(h.condition(heavenv1.MergeAvailable).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.condition(heavenv1.MergeMainReady)).To(And(
		HaveField("Reason", ReasonMainAbsent), HaveField("Message", ContainSubstring("heavens/apiserver"))))

	pushed := time.Now()
	h.hub.status = HubStatus{Main: "2a1c", Records: &HubRecords{}, Branches: []HubBranch{
		{Name: "heavens/b", Head: "1", Epoch: 2, Holder: "p", LastPush: &pushed, Merged: new(true)}, {Name: "heavens/a", LastError: "gate: it may not change nodes"},
	}}
	h.settle()
	h.Expect(h.reconcile()).To(Equal(askLater))
	h.Expect(h.condition(heavenv1.MergeMainReady).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.condition(heavenv1.MergeConflictFree).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.condition(heavenv1.MergeAvailable).Message).To(Equal("Branch heavens/a was refused: gate: it may not change nodes"))
	status := h.merge().Status
	h.Expect(status.MainHead).To(Equal("2a1c"))
	h.Expect(status.Branches).To(HaveLen(2))
	h.Expect(status.Branches[0].Name).To(Equal("heavens/a"))
	h.Expect(*status.Branches[1].Merged).To(BeTrue())

	// Law 2: what it said last stays.
	h.hub.err = errors.New("timeout")
	h.settle()
	h.Expect(h.merge().Status.MainHead).To(Equal("2a1c"))
	h.Expect(h.condition(heavenv1.MergeMainReady).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.condition(heavenv1.MergeAvailable).Status).To(Equal(metav1.ConditionFalse))

	h.hub.err, h.hub.status.Records = nil, &HubRecords{Filed: 3, Open: 2}
	h.settle()
	h.Expect(h.condition(heavenv1.MergeConflictFree)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Message", ContainSubstring("2 conflicts"))))
}

// Law 1.
func TestReconcile100TimesWritesNothing(t *testing.T) {
	h := newHost(t, node())
	h.makeKeys()
	h.settle()
	h.run()
	h.hub.status = HubStatus{
		Main: "2a1c", Branches: []HubBranch{{Name: "heavens/b", LastPush: new(time.Now())}},
		Records:    &HubRecords{Filed: 1, Open: 1, Recent: []HubConflict{{Number: 1, Key: "/a"}}},
		Quarantine: &HubQuarantine{Waiting: 1, Total: 1, Since: new(time.Now()), Entries: []HubHeld{{Branch: "nodes/a", State: "Waiting", Since: time.Now()}}},
		Forge:      &HubForge{URL: "https://forge", OldestUnpushed: new(time.Now()), Branches: []HubForgeBranch{{Name: "heavens/b", Oldest: new(time.Now())}}},
	}
	h.settle()
	before := h.writes.Count()
	for range 100 {
		h.reconcile()
	}
	h.Expect(h.writes.Count()).To(Equal(before))
}

func TestTheHubIsAskedWithTheAdminsCertificate(t *testing.T) {
	h := newHost(t, node())
	h.makeKeys()
	h.settle()
	h.run()
	h.settle()
	asked := h.hub.asked[len(h.hub.asked)-1]
	h.Expect(asked.Endpoint).To(Equal(heavenv1.Endpoint{Host: "10.203.0.18", Port: 8443}))
	certificates := &corev1.Secret{}
	h.get("blue-hub-certs", certificates)
	h.Expect(asked.Cert).To(Equal(certificates.Data["hub-admin.crt"]))
}

// Law 3.
func TestTheVolumeOutlivesTheHubIfItShall(t *testing.T) {
	for policy, owned := range map[heavenv1.DeletionPolicy]bool{heavenv1.DeletionDelete: true, heavenv1.DeletionRetain: false} {
		repository := &heavenv1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
		repository.Spec.DeletionPolicy = policy
		h := newHost(t, repository)
		h.makeKeys()
		h.settle()
		claim := &corev1.PersistentVolumeClaim{}
		h.get("blue-hub", claim)
		h.Expect(metav1.IsControlledBy(claim, h.merge())).To(Equal(owned), string(policy))
	}
}

// Law 4.
func TestAHubGoesWhenItsPodIsGone(t *testing.T) {
	h := newHost(t)
	h.makeKeys()
	h.settle()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", Labels: heaven.MergeLabels(h.merge())}}
	h.Expect(h.client.Create(t.Context(), pod)).To(Succeed())
	h.Expect(h.client.Delete(t.Context(), h.merge())).To(Succeed())
	h.settle()
	h.Expect(h.client.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "blue-hub"}, &appsv1.Deployment{})).NotTo(Succeed())
	h.Expect(h.condition(heavenv1.MergeDeleting)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Message", "Waiting for pod p")))
	h.Expect(h.client.Delete(t.Context(), pod)).To(Succeed())
	h.reconcile()
	h.Expect(h.client.Get(t.Context(), name, &heavenv1.AutomatedMerge{})).NotTo(Succeed())
}

func TestOurOwnReportDoesNotBringUsBack(t *testing.T) {
	g := NewWithT(t)
	p := notOurReport()
	before := wanted(t)
	update := func(change func(*heavenv1.AutomatedMerge)) bool {
		after := before.DeepCopy()
		change(after)
		return p.Update(event.UpdateEvent{ObjectOld: before, ObjectNew: after})
	}
	g.Expect(update(func(m *heavenv1.AutomatedMerge) { m.Status.MainHead, m.ResourceVersion = "x", "7" })).To(BeFalse())
	g.Expect(update(func(m *heavenv1.AutomatedMerge) {
		m.Status.Conditions = []metav1.Condition{{Type: heavenv1.MergeAvailable, Status: metav1.ConditionTrue}}
	})).To(BeFalse())
	g.Expect(update(func(m *heavenv1.AutomatedMerge) { m.Finalizers = []string{"x"} })).To(BeTrue())
	g.Expect(update(func(m *heavenv1.AutomatedMerge) { m.DeletionTimestamp = &metav1.Time{Time: time.Now()} })).To(BeTrue())
	g.Expect(update(func(m *heavenv1.AutomatedMerge) { m.Spec.Service.Port = 1 })).To(BeTrue())
	g.Expect(update(func(m *heavenv1.AutomatedMerge) {
		m.Status.Conditions = []metav1.Condition{{Type: clusterv1.PausedCondition, Status: metav1.ConditionTrue}}
	})).To(BeTrue())
}
