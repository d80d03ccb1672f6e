// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlessconfig

import (
	"bytes"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	bootstrapv1 "github.com/trishanku-org/cluster-api-provider-headless/api/bootstrap/v1alpha1"
	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

var key = client.ObjectKey{Namespace: "default", Name: "worker-config"}

func cluster() *clusterv1.Cluster {
	c := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	c.Spec.ControlPlaneRef = clusterv1.ContractVersionedObjectReference{APIGroup: controlplanev1.GroupVersion.Group, Kind: "HeadlessControlPlane", Name: "blue-cp"}
	c.Status.Initialization.InfrastructureProvisioned = new(true)
	c.Status.Initialization.ControlPlaneInitialized = new(true)
	return c
}

func machine() *clusterv1.Machine {
	return &clusterv1.Machine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "worker", UID: "machine"},
		Spec: clusterv1.MachineSpec{
			ClusterName:       "blue",
			Bootstrap:         clusterv1.Bootstrap{ConfigRef: clusterv1.ContractVersionedObjectReference{APIGroup: bootstrapv1.GroupVersion.Group, Kind: "HeadlessConfig", Name: key.Name}},
			InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "GitBackedMachine", Name: "worker-infra"},
		},
	}
}

func config() *bootstrapv1.HeadlessConfig {
	return &bootstrapv1.HeadlessConfig{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name, UID: "config", Generation: 1,
		OwnerReferences: []metav1.OwnerReference{{APIVersion: clusterv1.GroupVersion.String(), Kind: "Machine", Name: "worker", UID: "machine"}},
	}}
}

func infra() *infrav1.GitBackedMachine {
	return &infrav1.GitBackedMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "worker-infra"},
		Spec:       infrav1.GitBackedMachineSpec{ProviderID: "headless://default/worker-infra", External: &infrav1.ExternalMachine{}},
	}
}

func hub() *heavenv1.AutomatedMerge {
	m := &heavenv1.AutomatedMerge{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}, Spec: heavenv1.AutomatedMergeSpec{ClusterName: "blue"}}
	m.Status.Endpoint.External = heavenv1.Endpoint{Host: "192.0.2.1", Port: 30443}
	return m
}

func controlPlane() *controlplanev1.HeadlessControlPlane {
	return &controlplanev1.HeadlessControlPlane{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue-cp"}, Spec: controlplanev1.HeadlessControlPlaneSpec{Version: "v1.36.3"},
	}
}

type world struct {
	client.Client
	t      *testing.T
	r      *Reconciler
	events *events.FakeRecorder
}

// newWorld has the given objects and, unless bare, the cluster's Secrets as the control plane makes them.
func newWorld(t *testing.T, bare bool, objects ...client.Object) *world {
	t.Helper()
	c := fake.NewClientBuilder().WithScheme(hosttest.Scheme(t)).WithStatusSubresource(&bootstrapv1.HeadlessConfig{}).WithObjects(objects...).Build()
	w := &world{Client: c, t: t, events: events.NewFakeRecorder(20)}
	w.r = &Reconciler{Client: w, Clock: clocktesting.NewFakePassiveClock(time.Now()), recorder: w.events}
	if !bare {
		owner := metav1.OwnerReference{APIVersion: controlplanev1.GroupVersion.String(), Kind: "HeadlessControlPlane", Name: "blue-cp", UID: "cp"}
		if _, err := pki.EnsureCluster(t.Context(), c, client.ObjectKey{Namespace: "default", Name: "blue"}, "", owner); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// settle reconciles until nothing changes any more.
func (w *world) settle() *bootstrapv1.HeadlessConfig {
	w.t.Helper()
	for range 4 {
		if _, err := w.r.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
			w.t.Fatal(err)
		}
	}
	got := &bootstrapv1.HeadlessConfig{}
	if err := w.Get(w.t.Context(), key, got); err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *world) data() *corev1.Secret {
	w.t.Helper()
	got := &corev1.Secret{}
	if err := w.Get(w.t.Context(), key, got); err != nil {
		w.t.Fatal(err)
	}
	return got
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		reason string
		change func(*scope)
		says   string
	}{
		{ReasonDataSecretAvailable, func(s *scope) { s.data = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "x"}} }, "Secret x"},
		{ReasonDataSecretNotOurs, func(s *scope) { s.foreign = true }, "delete it"},
		{ReasonOwnerNotSupported, func(s *scope) { s.ownerKind, s.machine = "MachinePool", nil }, "MachineDeployment"},
		{ReasonWaitingForOwner, func(s *scope) { s.machine = nil }, "Machine"},
		{ReasonWaitingForOwner, func(s *scope) { s.cluster = nil }, "Machine"},
		{ReasonWaitingForInfrastructure, func(s *scope) { s.cluster.Status.Initialization.InfrastructureProvisioned = nil }, "infrastructure"},
		{ReasonWaitingForControlPlane, func(s *scope) { s.cluster.Status.Initialization.ControlPlaneInitialized = new(false) }, "control plane"},
		{ReasonWaitingForHub, func(s *scope) { s.hub = nil }, "AutomatedMerge blue"},
		{ReasonImpossible, func(s *scope) { s.refused = "no way" }, "no way"},
		{ReasonWaitingFor, func(s *scope) { s.missing = "Secret y" }, "Waiting for Secret y"},
		{ReasonNotWritten, func(*scope) {}, "tried again"},
	} {
		s := &scope{config: config(), machine: machine(), ownerKind: "Machine", cluster: cluster(), hub: hub()}
		tc.change(s)
		judge(s)
		got, ready := conditions.Get(s.config, bootstrapv1.ConditionDataSecretAvailable), conditions.Get(s.config, bootstrapv1.ConditionReady)
		if got.Reason != tc.reason || !strings.Contains(got.Message, tc.says) || (got.Status == metav1.ConditionTrue) != (tc.reason == ReasonDataSecretAvailable) {
			t.Errorf("%s: got %+v", tc.reason, got)
		}
		if ready.Status != got.Status || ready.Reason != got.Reason {
			t.Errorf("%s: Ready is %+v", tc.reason, ready)
		}
	}
}

func TestWritesUserData(t *testing.T) {
	t.Parallel()
	c := config()
	c.Spec.Labels = map[string]string{"example.org/zone": "a"}
	c.Spec.Files = []bootstrapv1.File{
		{Path: "/etc/plain", Content: new("hello")},
		{Path: "/etc/coded", Content: new("AAEC"), Encoding: bootstrapv1.FileBase64},
		{Path: "/etc/secret", ContentFrom: &bootstrapv1.FileSource{Secret: bootstrapv1.SecretKeyReference{Name: "mine", Key: "k"}}},
	}
	users := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "mine"}, Data: map[string][]byte{"k": []byte("psst")}}
	w := newWorld(t, false, cluster(), machine(), c, infra(), hub(), controlPlane(), users)
	got := w.settle()
	if !conditions.IsTrue(got, bootstrapv1.ConditionReady) || got.Status.DataSecretName != key.Name || !isTrue(got.Status.Initialization.DataSecretCreated) {
		t.Fatalf("got %+v", got.Status)
	}
	data := w.data()
	if data.Type != clusterv1.ClusterSecretType || data.Labels[clusterv1.ClusterNameLabel] != "blue" || !metav1.IsControlledBy(data, c) || string(data.Data["format"]) != "cloud-config" {
		t.Errorf("Secret is %+v", data.ObjectMeta)
	}
	var parsed struct {
		WriteFiles []struct{ Path, Permissions, Content string } `json:"write_files"`
	}
	if err := yaml.Unmarshal(data.Data["value"], &parsed); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range parsed.WriteFiles {
		files[f.Path] = f.Permissions + " " + f.Content
	}
	for path, want := range map[string]string{
		"/etc/headless/gitcd.yaml":                     "url: https://192.0.2.1:30443",
		"/etc/headless/kubelet.yaml":                   "providerID: headless://default/worker-infra",
		"/etc/systemd/system/headless-kubelet.service": "--hostname-override=worker",
		"/etc/headless/pki/sa.key":                     "PRIVATE KEY",
		"/etc/plain":                                   "0644 hello",
		"/etc/secret":                                  "0600 psst",
	} {
		if !strings.Contains(files[path], want) {
			t.Errorf("%s does not say %q:\n%s", path, want, files[path])
		}
	}
	if n := len(w.events.Events); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestLawWrittenOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false, cluster(), machine(), config(), infra(), hub(), controlPlane())
	got := w.settle()
	before := w.data().Data["value"]

	// A change of the spec, and a move: the status is lost, the owner has another UID.
	got.Spec.PreCommands = []string{"true"}
	got.Status = bootstrapv1.HeadlessConfigStatus{}
	if err := w.Update(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if err := w.Status().Update(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	moved := w.data()
	moved.OwnerReferences[0].UID = "another"
	if err := w.Update(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	// Nothing that the user data depends on is needed any more.
	for _, gone := range []client.Object{hub(), infra(), controlPlane()} {
		if err := w.Delete(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	got = w.settle()
	if !bytes.Equal(before, w.data().Data["value"]) {
		t.Error("the user data was written anew")
	}
	if got.Status.DataSecretName != key.Name || !isTrue(got.Status.Initialization.DataSecretCreated) || !conditions.IsTrue(got, bootstrapv1.ConditionReady) {
		t.Errorf("the status was not found again: %+v", got.Status)
	}
}

func TestLawNeverForeign(t *testing.T) {
	t.Parallel()
	foreign := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Data: map[string][]byte{"value": []byte("theirs")}}
	w := newWorld(t, false, cluster(), machine(), config(), infra(), hub(), controlPlane(), foreign)
	got := w.settle()
	if got.Status.DataSecretName != "" || conditions.GetReason(got, bootstrapv1.ConditionReady) != ReasonDataSecretNotOurs || string(w.data().Data["value"]) != "theirs" {
		t.Errorf("got %+v", got.Status)
	}
}

func TestWaits(t *testing.T) {
	t.Parallel()
	nameless := infra()
	nameless.Spec.ProviderID = ""
	wrong := config()
	wrong.Spec.Kubelet.Config = &runtime.RawExtension{Raw: []byte(`[]`)}
	keyless := config()
	keyless.Spec.Files = []bootstrapv1.File{{Path: "/x", ContentFrom: &bootstrapv1.FileSource{Secret: bootstrapv1.SecretKeyReference{Name: "blue-ca", Key: "nope"}}}}
	for name, tc := range map[string]struct {
		bare         bool
		objects      []client.Object
		reason, says string
	}{
		"Secrets":     {true, []client.Object{cluster(), machine(), config(), infra(), hub(), controlPlane()}, ReasonWaitingFor, "Secret blue-ca"},
		"provider ID": {false, []client.Object{cluster(), machine(), config(), nameless, hub(), controlPlane()}, ReasonWaitingFor, "provider ID"},
		"version":     {false, []client.Object{cluster(), machine(), config(), infra(), hub()}, ReasonWaitingFor, "HeadlessControlPlane blue-cp"},
		"hub":         {false, []client.Object{cluster(), machine(), config(), infra(), controlPlane()}, ReasonWaitingForHub, "AutomatedMerge"},
		"file":        {false, []client.Object{cluster(), machine(), keyless, infra(), hub(), controlPlane()}, ReasonWaitingFor, "key nope of Secret blue-ca"},
		"impossible":  {false, []client.Object{cluster(), machine(), wrong, infra(), hub(), controlPlane()}, ReasonImpossible, "KubeletConfiguration"},
	} {
		got := newWorld(t, tc.bare, tc.objects...).settle()
		ready := conditions.Get(got, bootstrapv1.ConditionReady)
		if got.Status.DataSecretName != "" || ready.Reason != tc.reason || !strings.Contains(ready.Message, tc.says) {
			t.Errorf("%s: got %+v", name, got.Status)
		}
	}
}

func TestPaused(t *testing.T) {
	t.Parallel()
	asleep := cluster()
	asleep.Spec.Paused = new(true)
	got := newWorld(t, false, asleep, machine(), config(), infra(), hub(), controlPlane()).settle()
	if !conditions.IsTrue(got, clusterv1.PausedCondition) || got.Status.DataSecretName != "" {
		t.Errorf("a paused object was reconciled: %+v", got.Status)
	}
}

func TestMachineLeadsToConfig(t *testing.T) {
	t.Parallel()
	if got := ofMachine(t.Context(), machine()); len(got) != 1 || got[0].NamespacedName != key {
		t.Errorf("got %v", got)
	}
	other := machine()
	other.Spec.Bootstrap.ConfigRef.Kind = "KubeadmConfig"
	if got := ofMachine(t.Context(), other); got != nil {
		t.Errorf("got %v", got)
	}
}
