// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package trishankuheaven

import (
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

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// host is a host cluster in memory, and counts what is written to it.
type host struct {
	*GomegaWithT
	t      *testing.T
	client client.Client
	writes hosttest.Writes
	clock  *clocktesting.FakePassiveClock
	r      *Reconciler
	name   client.ObjectKey
}

func newHost(t *testing.T, objects ...client.Object) *host {
	t.Helper()
	h := &host{GomegaWithT: NewWithT(t), t: t, clock: clocktesting.NewFakePassiveClock(time.Now())}
	h.client = fake.NewClientBuilder().WithScheme(hosttest.Scheme(t)).WithObjects(objects...).
		WithStatusSubresource(&heavenv1.TrishankuHeaven{}, &heavenv1.AutomatedMerge{}, &appsv1.Deployment{}).
		WithInterceptorFuncs(h.writes.Funcs()).Build()
	h.r = &Reconciler{Client: h.client, Recorder: events.NewFakeRecorder(1000), Clock: h.clock}
	return h
}

// settle reconciles until nothing is written any more.
func (h *host) settle() {
	h.t.Helper()
	h.writes.Settle(h.t, func() {
		_, err := h.r.Reconcile(h.t.Context(), ctrl.Request{NamespacedName: h.name})
		h.Expect(err).NotTo(HaveOccurred())
	})
}

func (h *host) get(name string, into client.Object) {
	h.t.Helper()
	h.Expect(h.client.Get(h.t.Context(), client.ObjectKey{Namespace: "default", Name: name}, into)).To(Succeed())
}

func (h *host) heaven() *heavenv1.TrishankuHeaven {
	h.t.Helper()
	out := &heavenv1.TrishankuHeaven{}
	h.get(h.name.Name, out)
	return out
}

func (h *host) condition(kind string) metav1.Condition {
	h.t.Helper()
	c := conditions.Get(h.heaven(), kind)
	h.Expect(c).NotTo(BeNil(), kind)
	return *c
}

func (h *host) makeKeys() {
	h.t.Helper()
	_, err := pki.EnsureCluster(h.t.Context(), h.client, client.ObjectKey{Namespace: "default", Name: "blue"}, "",
		metav1.OwnerReference{APIVersion: "v1", Kind: "HeadlessControlPlane", Name: "blue", UID: "u"})
	h.Expect(err).NotTo(HaveOccurred())
}

// addressService is what the host cluster's API server does.
func (h *host) addressService(ip string) {
	h.t.Helper()
	service := &corev1.Service{}
	h.get(h.name.Name, service)
	service.Spec.ClusterIP = ip
	h.Expect(h.client.Update(h.t.Context(), service)).To(Succeed())
}

// runPod is what the host cluster's Deployment controller and kubelet do.
func (h *host) runPod(available bool) {
	h.t.Helper()
	d := &appsv1.Deployment{}
	h.get(h.name.Name, d)
	d.Status.ObservedGeneration = d.Generation
	d.Status.UpdatedReplicas = 1
	d.Status.AvailableReplicas = 0
	if available {
		d.Status.AvailableReplicas = 1
	}
	h.Expect(h.client.Status().Update(h.t.Context(), d)).To(Succeed())
}

func wanted(t *testing.T, component string) *heavenv1.TrishankuHeaven {
	t.Helper()
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	hcp := &controlplanev1.HeadlessControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	hcp.Spec.Version = "v1.36.3"
	want, err := heaven.Set(cluster, hcp)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range want.Heavens() {
		if heaven.ComponentName(h) == component {
			h.UID = "heaven-uid"
			return h
		}
	}
	t.Fatalf("no heaven of %s", component)
	return nil
}

func frontDoor(t *testing.T) *host {
	t.Helper()
	h := newHost(t, wanted(t, heavenv1.FrontDoor))
	h.name = client.ObjectKey{Namespace: "default", Name: "blue-apiserver"}
	return h
}

func TestFrontDoorFromNothingToAvailable(t *testing.T) {
	h := frontDoor(t)

	h.settle()
	h.Expect(h.condition(heavenv1.HeavenAvailable).Reason).To(Equal(ReasonSecretsMissing))
	h.Expect(h.condition(heavenv1.HeavenAvailable).Message).To(ContainSubstring("blue-ca, blue-proxy, blue-sa, blue-git-ca, blue-encryption"))
	h.Expect(h.condition(heavenv1.HeavenSynced)).To(And(HaveField("Status", metav1.ConditionUnknown), HaveField("Reason", ReasonHubNotFound)))

	h.addressService("10.203.0.17")
	h.makeKeys()
	h.settle()
	h.Expect(h.condition(heavenv1.HeavenCertificatesReady).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.condition(heavenv1.HeavenAvailable).Reason).To(Equal(string(heaven.StageNoPod)))
	h.Expect(h.heaven().Status.Endpoint).To(Equal(heavenv1.Endpoint{Host: "10.203.0.17", Port: 6443}))
	h.Expect(h.heaven().Status.Version).To(BeEmpty(), "nothing runs yet")
	for name, o := range map[string]client.Object{
		"blue-apiserver": &corev1.ConfigMap{}, "blue-apiserver-certs": &corev1.Secret{},
	} {
		h.get(name, o)
		h.Expect(metav1.IsControlledBy(o, h.heaven())).To(BeTrue())
		h.Expect(o.GetLabels()).To(HaveKeyWithValue(clusterv1.ClusterNameLabel, "blue"))
	}
	claim := &corev1.PersistentVolumeClaim{}
	h.get("blue-apiserver", claim)
	h.Expect(claim.Spec.Resources.Requests.Storage().String()).To(Equal("2Gi"))
	d := &appsv1.Deployment{}
	h.get("blue-apiserver", d)
	h.Expect(d.Spec.Template.Spec.Containers[0].Command).To(ContainElement("--advertise-address=10.203.0.17"))

	h.runPod(true)
	h.settle()
	h.Expect(h.condition(heavenv1.HeavenAvailable).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.condition(heavenv1.HeavenProgressing).Reason).To(Equal(ReasonSettled))
	h.Expect(h.heaven().Status.Version).To(Equal("v1.36.3"))
}

// Law 1.
func TestReconcile100TimesWritesNothing(t *testing.T) {
	h := frontDoor(t)
	h.makeKeys()
	h.settle()
	h.addressService("10.203.0.17")
	h.settle()
	h.runPod(true)
	h.settle()

	before := h.writes.Count()
	for range 100 {
		result, err := h.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: h.name})
		h.Expect(err).NotTo(HaveOccurred())
		h.Expect(result.RequeueAfter).To(BeNumerically(">", time.Hour), "certificates grow old")
	}
	h.Expect(h.writes.Count()).To(Equal(before))
}

func digestOf(h *host) string {
	d := &appsv1.Deployment{}
	h.get(h.name.Name, d)
	return d.Spec.Template.Annotations[heaven.DigestAnnotation]
}

func TestRenewedCertificatesRollThePod(t *testing.T) {
	h := frontDoor(t)
	h.makeKeys()
	h.settle()
	before := digestOf(h)

	h.clock.SetTime(h.clock.Now().Add(100 * 24 * time.Hour))
	h.settle()
	h.Expect(digestOf(h)).To(Equal(before), "nothing has to be renewed")

	h.clock.SetTime(h.clock.Now().Add(200 * 24 * time.Hour))
	h.settle()
	h.Expect(digestOf(h)).NotTo(Equal(before))
}

func TestSyncedIsWhatTheHubSays(t *testing.T) {
	h := frontDoor(t)
	h.makeKeys()
	merge := &heavenv1.AutomatedMerge{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"},
		Spec:       heavenv1.AutomatedMergeSpec{ClusterName: "blue"},
	}
	h.Expect(h.client.Create(t.Context(), merge)).To(Succeed())
	say := func(available metav1.ConditionStatus, branches ...heavenv1.BranchStatus) metav1.Condition {
		merge.Status.Conditions = []metav1.Condition{{Type: heavenv1.MergeAvailable, Status: available, Reason: "R", Message: "m"}}
		merge.Status.Branches = branches
		h.Expect(h.client.Status().Update(t.Context(), merge)).To(Succeed())
		h.settle()
		return h.condition(heavenv1.HeavenSynced)
	}
	of := func(merged *bool) heavenv1.BranchStatus {
		return heavenv1.BranchStatus{Name: "heavens/apiserver", Head: "2a1c", Epoch: new(int64(3)), Holder: "p", Merged: merged}
	}
	h.Expect(say(metav1.ConditionFalse)).To(And(HaveField("Status", metav1.ConditionUnknown), HaveField("Reason", ReasonHubUnavailable)))
	h.Expect(say(metav1.ConditionTrue)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", ReasonNotPushed)))
	h.Expect(say(metav1.ConditionTrue, of(nil))).To(HaveField("Status", metav1.ConditionTrue), "a merge is due")
	h.Expect(say(metav1.ConditionTrue, of(new(false)))).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", ReasonNotMerged)))
	h.Expect(say(metav1.ConditionTrue, of(new(true)))).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", ReasonSynced)))
	h.Expect(h.heaven().Status).To(And(HaveField("Head", "2a1c"), HaveField("Epoch", HaveValue(BeEquivalentTo(3))), HaveField("Holder", "p")))
}

func TestWhatRunsStaysAvailableWhenAKeyIsLost(t *testing.T) {
	h := frontDoor(t)
	h.makeKeys()
	h.settle()
	h.runPod(true)
	h.settle()
	lost := &corev1.Secret{}
	h.get("blue-sa", lost)
	h.Expect(h.client.Delete(t.Context(), lost)).To(Succeed())
	h.settle()
	h.Expect(h.condition(heavenv1.HeavenAvailable).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.condition(heavenv1.HeavenCertificatesReady)).To(HaveField("Reason", ReasonSecretsMissing))
}

func TestAComponentSaysWhyItIsNotReady(t *testing.T) {
	h := newHost(t, wanted(t, "kube-scheduler"))
	h.name = client.ObjectKey{Namespace: "default", Name: "blue-kube-scheduler"}
	h.makeKeys()
	h.settle()
	h.runPod(false)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", Labels: heaven.Labels(h.heaven())}}
	pod.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "gitcd-init", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "fetch main: connection refused"},
	}}}
	h.Expect(h.client.Create(t.Context(), pod)).To(Succeed())
	h.settle()
	h.Expect(h.condition(heavenv1.HeavenAvailable)).To(And(
		HaveField("Status", metav1.ConditionFalse), HaveField("Reason", "Failing"),
		HaveField("Message", "Container gitcd-init of pod p exited with code 1 (Error): fetch main: connection refused")))
}

func TestAStrangersDeploymentIsNotTouched(t *testing.T) {
	stranger := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue-apiserver"}}
	h := newHost(t, wanted(t, heavenv1.FrontDoor), stranger)
	h.name = client.ObjectKey{Namespace: "default", Name: "blue-apiserver"}
	h.makeKeys()
	var err error
	for range 4 {
		_, err = h.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: h.name})
	}
	h.Expect(err).To(MatchError(ContainSubstring("it exists and belongs to")))
	h.Expect(h.condition(heavenv1.HeavenProgressing)).To(And(HaveField("Reason", ReasonFailed), HaveField("Message", ContainSubstring("belongs to"))))

	h.Expect(h.client.Delete(t.Context(), h.heaven())).To(Succeed())
	for range 3 {
		_, err = h.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: h.name})
		h.Expect(err).NotTo(HaveOccurred())
	}
	h.get("blue-apiserver", &appsv1.Deployment{})
	h.Expect(client.IgnoreNotFound(h.client.Get(t.Context(), h.name, &heavenv1.TrishankuHeaven{}))).To(Succeed())
}

// Law 4.
func TestAHeavenGoesWhenItsPodIsGone(t *testing.T) {
	h := frontDoor(t)
	h.makeKeys()
	h.settle()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", Labels: heaven.Labels(h.heaven())}}
	h.Expect(h.client.Create(t.Context(), pod)).To(Succeed())
	h.Expect(h.client.Delete(t.Context(), h.heaven())).To(Succeed())

	h.settle()
	err := h.client.Get(t.Context(), h.name, &appsv1.Deployment{})
	h.Expect(client.IgnoreNotFound(err)).To(Succeed())
	h.Expect(err).To(HaveOccurred(), "the Deployment goes first")
	h.Expect(h.condition(heavenv1.HeavenDeleting)).To(And(
		HaveField("Status", metav1.ConditionTrue), HaveField("Message", "Waiting for pod p, which hands in its last commits")))

	h.Expect(h.client.Delete(t.Context(), pod)).To(Succeed())
	_, err = h.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: h.name})
	h.Expect(err).NotTo(HaveOccurred())
	err = h.client.Get(t.Context(), h.name, &heavenv1.TrishankuHeaven{})
	h.Expect(err).To(HaveOccurred())
	h.Expect(client.IgnoreNotFound(err)).To(Succeed())
}

func TestAPausedClusterIsLeftAlone(t *testing.T) {
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}, Spec: clusterv1.ClusterSpec{Paused: new(true)}}
	h := newHost(t, wanted(t, heavenv1.FrontDoor), cluster)
	h.name = client.ObjectKey{Namespace: "default", Name: "blue-apiserver"}
	h.makeKeys()
	h.settle()
	h.Expect(h.condition(clusterv1.PausedCondition).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.client.Get(t.Context(), h.name, &corev1.Service{})).NotTo(Succeed())
}
