// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
)

// fakeProber answers what the test says.
type fakeProber struct {
	err   error
	asked []string
}

func (f *fakeProber) Ready(_ context.Context, kubeconfig []byte) error {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return err
	}
	f.asked = append(f.asked, config.Host)
	return f.err
}

// host is a host cluster in memory, and counts what is written to it.
type host struct {
	*GomegaWithT
	t      *testing.T
	client client.Client
	writes hosttest.Writes
	prober *fakeProber
	r      *Reconciler
}

var name = client.ObjectKey{Namespace: "default", Name: "blue-x7k2p"}

func newHost(t *testing.T, change func(*clusterv1.Cluster, *controlplanev1.HeadlessControlPlane)) *host {
	t.Helper()
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue", UID: "cluster-uid"}}
	cluster.Status.Initialization.InfrastructureProvisioned = new(true)
	hcp := &controlplanev1.HeadlessControlPlane{ObjectMeta: metav1.ObjectMeta{
		Namespace: name.Namespace, Name: name.Name, UID: "hcp-uid",
		OwnerReferences: []metav1.OwnerReference{{APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: "blue", UID: "cluster-uid"}},
	}}
	hcp.Spec.Version = "v1.36.3"
	if change != nil {
		change(cluster, hcp)
	}
	h := &host{GomegaWithT: NewWithT(t), t: t, prober: &fakeProber{}}
	h.client = fake.NewClientBuilder().WithScheme(hosttest.Scheme(t)).WithObjects(cluster, hcp).
		WithStatusSubresource(&controlplanev1.HeadlessControlPlane{}, &heavenv1.TrishankuHeaven{}, &heavenv1.AutomatedMerge{}, &clusterv1.Cluster{}).
		WithInterceptorFuncs(h.writes.Funcs()).Build()
	h.r = &Reconciler{
		Client: h.client, Recorder: events.NewFakeRecorder(1000), Prober: h.prober, Clock: clocktesting.NewFakePassiveClock(time.Now()),
	}
	return h
}

// settle reconciles until nothing is written any more, and answers with the time after which to look again.
func (h *host) settle() time.Duration {
	h.t.Helper()
	var again time.Duration
	h.writes.Settle(h.t, func() {
		result, err := h.r.Reconcile(h.t.Context(), ctrl.Request{NamespacedName: name})
		h.Expect(err).NotTo(HaveOccurred())
		again = result.RequeueAfter
	})
	return again
}

func (h *host) exists(name string, o client.Object) bool {
	h.t.Helper()
	err := h.client.Get(h.t.Context(), client.ObjectKey{Namespace: "default", Name: name}, o)
	h.Expect(client.IgnoreNotFound(err)).To(Succeed())
	return !apierrors.IsNotFound(err)
}

func (h *host) hcp() *controlplanev1.HeadlessControlPlane {
	h.t.Helper()
	out := &controlplanev1.HeadlessControlPlane{}
	h.Expect(h.exists(name.Name, out)).To(BeTrue())
	return out
}

func (h *host) condition(kind string) metav1.Condition {
	h.t.Helper()
	c := conditions.Get(h.hcp(), kind)
	h.Expect(c).NotTo(BeNil(), kind)
	return *c
}

// heavenIs is what the controller of TrishankuHeavens reports.
func (h *host) heavenIs(name string, available metav1.ConditionStatus, reason, message string) {
	h.t.Helper()
	heaven := &heavenv1.TrishankuHeaven{}
	h.Expect(h.exists(name, heaven)).To(BeTrue(), name)
	progressing := metav1.ConditionTrue
	if available == metav1.ConditionTrue {
		heaven.Status.Version, progressing = heaven.Spec.Version, metav1.ConditionFalse
	}
	if heaven.Spec.Component == nil {
		heaven.Status.Endpoint = heavenv1.Endpoint{Host: "10.203.0.17", Port: 6443}
	}
	now := metav1.Now()
	heaven.Status.Conditions = []metav1.Condition{
		{Type: heavenv1.HeavenAvailable, Status: available, Reason: reason, Message: message, LastTransitionTime: now},
		{Type: heavenv1.HeavenProgressing, Status: progressing, Reason: "R", LastTransitionTime: now},
		{Type: heavenv1.HeavenSynced, Status: available, Reason: "R", LastTransitionTime: now},
	}
	h.Expect(h.client.Status().Update(h.t.Context(), heaven)).To(Succeed())
}

// hubIs is what the controller of AutomatedMerges reports.
func (h *host) hubIs(available metav1.ConditionStatus, main string) {
	h.t.Helper()
	merge := &heavenv1.AutomatedMerge{}
	h.Expect(h.exists("blue", merge)).To(BeTrue())
	merge.Status.MainHead = main
	merge.Status.Conditions = []metav1.Condition{{Type: heavenv1.MergeAvailable, Status: available, Reason: "R", Message: "the hub's words", LastTransitionTime: metav1.Now()}}
	h.Expect(h.client.Status().Update(h.t.Context(), merge)).To(Succeed())
}

// available brings a control plane up.
func (h *host) available() {
	h.t.Helper()
	h.settle()
	h.hubIs(metav1.ConditionTrue, "2a1c")
	h.heavenIs("blue-apiserver", metav1.ConditionTrue, "Available", "")
	h.settle()
	h.heavenIs("blue-kube-controller-manager", metav1.ConditionTrue, "Available", "")
	h.heavenIs("blue-kube-scheduler", metav1.ConditionTrue, "Available", "")
	h.settle()
	h.Expect(h.condition(controlplanev1.ConditionAvailable).Status).To(Equal(metav1.ConditionTrue))
}

func TestFromNothingToAvailable(t *testing.T) {
	h := newHost(t, nil)
	h.settle()
	for _, secret := range []string{"blue-ca", "blue-proxy", "blue-sa", "blue-git-ca", "blue-encryption"} {
		s := &corev1.Secret{}
		h.Expect(h.exists(secret, s)).To(BeTrue(), secret)
		h.Expect(metav1.IsControlledBy(s, h.hcp())).To(BeTrue(), "clusterctl moves what is owned")
	}
	merge, frontDoor := &heavenv1.AutomatedMerge{}, &heavenv1.TrishankuHeaven{}
	h.Expect(h.exists("blue", merge)).To(BeTrue())
	h.Expect(h.exists("blue-apiserver", frontDoor)).To(BeTrue())
	h.Expect(merge.OwnerReferences).To(BeEmpty(), "law 3")
	h.Expect(frontDoor.OwnerReferences).To(BeEmpty(), "law 3")
	h.Expect(h.exists("blue-kube-scheduler", &heavenv1.TrishankuHeaven{})).To(BeFalse(), "main does not exist")
	h.Expect(*h.hcp().Status.ExternalManagedControlPlane).To(BeTrue())
	h.Expect(h.condition(controlplanev1.ConditionSchedulerHealthy)).To(And(
		HaveField("Reason", ReasonWaiting), HaveField("Message", ContainSubstring("front door is not available yet"))))
	h.Expect(h.prober.asked).To(BeEmpty())

	h.heavenIs("blue-apiserver", metav1.ConditionFalse, "APIServerStarting", "kube-apiserver is starting")
	h.settle()
	h.Expect(h.hcp().Spec.ControlPlaneEndpoint).To(Equal(clusterv1.APIEndpoint{Host: "10.203.0.17", Port: 6443}))
	h.Expect(h.exists("blue-kubeconfig", &corev1.Secret{})).To(BeTrue())
	h.Expect(h.condition(controlplanev1.ConditionAvailable)).To(And(
		HaveField("Status", metav1.ConditionFalse), HaveField("Reason", "APIServerStarting"),
		HaveField("Message", "APIServerHealthy: kube-apiserver is starting")))

	h.prober.err = errors.New("connection refused")
	h.heavenIs("blue-apiserver", metav1.ConditionTrue, "Available", "")
	h.Expect(h.settle()).To(Equal(probeSoon))
	h.Expect(h.prober.asked).To(ContainElement("https://10.203.0.17:6443"))
	h.Expect(h.hcp().Status.Initialization.ControlPlaneInitialized).To(BeNil())
	h.Expect(h.condition(controlplanev1.ConditionAPIServerHealthy)).To(And(
		HaveField("Reason", ReasonNotAnswering), HaveField("Message", "Connection refused")))

	h.prober.err = nil
	h.Expect(h.settle()).To(Equal(probeLater))
	h.Expect(*h.hcp().Status.Initialization.ControlPlaneInitialized).To(BeTrue(), "an API is all that workers need to begin")
	h.Expect(h.hcp().Status.Versions).To(Equal([]clusterv1.StatusVersion{{Version: "v1.36.3"}}))
	h.Expect(h.condition(controlplanev1.ConditionRollingOut)).To(And(
		HaveField("Status", metav1.ConditionTrue), HaveField("Message", ContainSubstring("main does not exist yet"))))

	h.hubIs(metav1.ConditionTrue, "2a1c")
	h.settle()
	h.heavenIs("blue-kube-controller-manager", metav1.ConditionTrue, "Available", "")
	h.heavenIs("blue-kube-scheduler", metav1.ConditionTrue, "Available", "")
	h.settle()
	for _, c := range []string{
		controlplanev1.ConditionAvailable, controlplanev1.ConditionCertificatesAvailable, controlplanev1.ConditionHubAvailable,
		controlplanev1.ConditionAPIServerHealthy, controlplanev1.ConditionControllerManagerHealthy,
		controlplanev1.ConditionSchedulerHealthy, controlplanev1.ConditionComponentsHealthy, controlplanev1.ConditionSynced,
	} {
		h.Expect(h.condition(c)).To(HaveField("Status", metav1.ConditionTrue), c)
	}
	h.Expect(h.condition(controlplanev1.ConditionRollingOut).Status).To(Equal(metav1.ConditionFalse))
	h.Expect(h.hcp().Status.Components).To(HaveLen(3))
}

// Law 1.
func TestReconcile100TimesWritesNothing(t *testing.T) {
	h := newHost(t, nil)
	h.available()
	before := h.writes.Count()
	for range 100 {
		_, err := h.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: name})
		h.Expect(err).NotTo(HaveOccurred())
	}
	h.Expect(h.writes.Count()).To(Equal(before))
}

// Law 5, and the front door being down does not take the components away.
func TestWhenTheAPIServerIsDown(t *testing.T) {
	h := newHost(t, nil)
	h.available()
	h.prober.err = errors.New("connection refused")
	h.heavenIs("blue-apiserver", metav1.ConditionFalse, "Failing", "it died")
	h.settle()
	h.Expect(*h.hcp().Status.Initialization.ControlPlaneInitialized).To(BeTrue())
	h.Expect(h.condition(controlplanev1.ConditionAvailable)).To(And(
		HaveField("Status", metav1.ConditionFalse), HaveField("Message", "APIServerHealthy: Connection refused")))
	h.Expect(h.exists("blue-kube-scheduler", &heavenv1.TrishankuHeaven{})).To(BeTrue())
}

func TestWaitsForTheInfrastructure(t *testing.T) {
	h := newHost(t, func(c *clusterv1.Cluster, _ *controlplanev1.HeadlessControlPlane) {
		c.Status.Initialization.InfrastructureProvisioned = nil
	})
	h.settle()
	h.Expect(h.condition(controlplanev1.ConditionAvailable).Reason).To(Equal(ReasonWaitingForInfrastructure))
	h.Expect(h.exists("blue-ca", &corev1.Secret{})).To(BeFalse())
}

func TestABadSpecIsACondition(t *testing.T) {
	h := newHost(t, func(_ *clusterv1.Cluster, hcp *controlplanev1.HeadlessControlPlane) {
		hcp.Spec.Components.APIServer.ExtraArgs = []heavenv1.Argument{{Name: "etcd-servers", Value: "x"}}
	})
	h.settle()
	h.Expect(h.condition(controlplanev1.ConditionAvailable)).To(And(
		HaveField("Reason", ReasonSpecInvalid), HaveField("Message", ContainSubstring("--etcd-servers of kube-apiserver"))))
}

func TestAGivenEndpointIsKept(t *testing.T) {
	h := newHost(t, func(_ *clusterv1.Cluster, hcp *controlplanev1.HeadlessControlPlane) {
		hcp.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: "api.example.org", Port: 443}
	})
	h.available()
	h.Expect(h.hcp().Spec.ControlPlaneEndpoint.Host).To(Equal("api.example.org"))
	h.Expect(h.prober.asked).To(HaveEach("https://api.example.org:443"))
}

func TestDeletionGoesInOrder(t *testing.T) {
	h := newHost(t, nil)
	h.available()
	gone := func(name string, o client.Object) {
		t.Helper()
		h.Expect(h.exists(name, o)).To(BeTrue())
		h.Expect(o.GetDeletionTimestamp().IsZero()).To(BeFalse(), "%s is being deleted", name)
		o.SetFinalizers(nil)
		h.Expect(h.client.Update(t.Context(), o)).To(Succeed())
	}
	held := map[string]client.Object{
		"blue-apiserver": &heavenv1.TrishankuHeaven{}, "blue-kube-controller-manager": &heavenv1.TrishankuHeaven{},
		"blue-kube-scheduler": &heavenv1.TrishankuHeaven{}, "blue": &heavenv1.AutomatedMerge{},
	}
	for name, o := range held {
		h.Expect(h.exists(name, o)).To(BeTrue())
		o.SetFinalizers([]string{"test/held"})
		h.Expect(h.client.Update(t.Context(), o)).To(Succeed())
	}
	h.Expect(h.client.Delete(t.Context(), h.hcp())).To(Succeed())

	h.settle()
	frontDoor := &heavenv1.TrishankuHeaven{}
	h.Expect(h.exists("blue-apiserver", frontDoor)).To(BeTrue())
	h.Expect(frontDoor.DeletionTimestamp.IsZero()).To(BeTrue(), "components go first")
	h.Expect(h.condition(controlplanev1.ConditionDeleting)).To(HaveField("Message", ContainSubstring("blue-kube-controller-manager")))
	gone("blue-kube-controller-manager", &heavenv1.TrishankuHeaven{})
	gone("blue-kube-scheduler", &heavenv1.TrishankuHeaven{})
	h.settle()
	merge := &heavenv1.AutomatedMerge{}
	h.Expect(h.exists("blue", merge)).To(BeTrue())
	h.Expect(merge.DeletionTimestamp.IsZero()).To(BeTrue(), "the hub goes last")
	gone("blue-apiserver", &heavenv1.TrishankuHeaven{})
	h.settle()
	gone("blue", &heavenv1.AutomatedMerge{})
	h.settle()
	h.Expect(h.exists(name.Name, &controlplanev1.HeadlessControlPlane{})).To(BeFalse())
}

// Law 4.
func TestAMovedControlPlaneIsNotTakenDown(t *testing.T) {
	h := newHost(t, nil)
	h.available()
	moved := h.hcp()
	moved.Annotations = map[string]string{deleteForMove: ""}
	h.Expect(h.client.Update(t.Context(), moved)).To(Succeed())
	h.Expect(h.client.Delete(t.Context(), moved)).To(Succeed())
	before := h.writes.Count()
	_, err := h.r.Reconcile(t.Context(), ctrl.Request{NamespacedName: name})
	h.Expect(err).NotTo(HaveOccurred())
	h.Expect(h.writes.Count()).To(Equal(before))
	for _, heaven := range []string{"blue-apiserver", "blue-kube-scheduler"} {
		h.Expect(h.exists(heaven, &heavenv1.TrishankuHeaven{})).To(BeTrue())
	}
}

func TestAPausedControlPlaneIsLeftAlone(t *testing.T) {
	h := newHost(t, func(c *clusterv1.Cluster, _ *controlplanev1.HeadlessControlPlane) { c.Spec.Paused = new(true) })
	h.settle()
	h.Expect(h.condition(clusterv1.PausedCondition).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.exists("blue-ca", &corev1.Secret{})).To(BeFalse())
}

func TestVersionsAreOldestFirst(t *testing.T) {
	NewWithT(t).Expect([]int{
		compareVersions("v1.9.0", "v1.36.3"), compareVersions("v1.36.3", "v1.36.3-rc.1"), compareVersions("v1.36.3", "v1.36.3"),
	}).To(Equal([]int{-1, 1, 0}))
}
