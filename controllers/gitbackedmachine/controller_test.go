// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedmachine

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
)

var key = client.ObjectKey{Namespace: "default", Name: "worker-infra"}

func cluster() *clusterv1.Cluster {
	c := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	c.Status.Initialization.InfrastructureProvisioned = new(true)
	return c
}

func machine() *clusterv1.Machine {
	return &clusterv1.Machine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "worker", UID: "machine"},
		Spec:       clusterv1.MachineSpec{ClusterName: "blue", Bootstrap: clusterv1.Bootstrap{DataSecretName: new("worker-data")}},
	}
}

func infra() *infrav1.GitBackedMachine {
	return &infrav1.GitBackedMachine{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, Generation: 1, Finalizers: []string{infrav1.MachineFinalizer},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: clusterv1.GroupVersion.String(), Kind: "Machine", Name: "worker", UID: "machine"}},
		},
		Spec: infrav1.GitBackedMachineSpec{External: &infrav1.ExternalMachine{}},
	}
}

func hub() *heavenv1.AutomatedMerge {
	m := &heavenv1.AutomatedMerge{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}, Spec: heavenv1.AutomatedMergeSpec{ClusterName: "blue"}}
	m.Status.Endpoint.External = heavenv1.Endpoint{Host: "192.0.2.1", Port: 30443}
	return m
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	now := metav1.Now()
	for _, tc := range []struct {
		reason        string
		change        func(*scope)
		data, machine metav1.ConditionStatus
		says          string
	}{
		{ReasonReleased, func(s *scope) { s.infra.DeletionTimestamp = &now }, unknown, no, "wipe"},
		{ReasonKindMissing, func(s *scope) { s.infra.Spec.External = nil }, unknown, no, "spec.external"},
		{ReasonJoined, func(s *scope) { s.machine.Status.NodeRef.Name = "worker" }, yes, yes, "Node worker"},
		{ReasonWaitingForInfrastructure, func(s *scope) { s.cluster = nil }, unknown, no, "infrastructure"},
		{ReasonWaitingForInfrastructure, func(s *scope) { s.cluster.Status.Initialization.InfrastructureProvisioned = nil }, unknown, no, "infrastructure"},
		{ReasonWaitingForBootstrapData, func(s *scope) { s.machine.Spec.Bootstrap.DataSecretName = nil }, no, no, "bootstrap"},
		{ReasonWaitingForMachine, func(s *scope) { s.hub = "192.0.2.1:30443" }, yes, no, "Secret default/worker-data (key value) on a machine that reaches 192.0.2.1:30443"},
		{ReasonWaitingForMachine, func(*scope) {}, yes, no, "the cluster's hub"},
	} {
		s := &scope{infra: infra(), machine: machine(), cluster: cluster()}
		tc.change(s)
		judge(s)
		data, provisioned := conditions.Get(s.infra, infrav1.MachineBootstrapDataReady), conditions.Get(s.infra, infrav1.MachineProvisioned)
		if data.Status != tc.data || provisioned.Status != tc.machine || provisioned.Reason != tc.reason || !strings.Contains(provisioned.Message, tc.says) {
			t.Errorf("%s: got %+v and %+v", tc.reason, data, provisioned)
		}
		if ready := conditions.Get(s.infra, infrav1.MachineReady); ready.Status != tc.machine || ready.Reason != tc.reason {
			t.Errorf("%s: Ready is %+v", tc.reason, ready)
		}
	}
}

type world struct {
	client.Client
	t      *testing.T
	events *events.FakeRecorder
	// headless is the headless cluster; nil while it is out of reach.
	headless kubernetes.Interface
}

func (w *world) dial(kubeconfig []byte) (kubernetes.Interface, error) {
	if w.headless == nil || string(kubeconfig) != "the way" {
		return nil, errors.New("out of reach")
	}
	return w.headless, nil
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	c := fake.NewClientBuilder().WithScheme(hosttest.Scheme(t)).
		WithStatusSubresource(&infrav1.GitBackedMachine{}, &clusterv1.Machine{}).WithObjects(objects...).Build()
	return &world{Client: c, t: t, events: events.NewFakeRecorder(10)}
}

// settle reconciles until nothing changes any more and returns the object, nil when it is gone.
func (w *world) settle() *infrav1.GitBackedMachine {
	w.t.Helper()
	for range 4 {
		if _, err := (&Reconciler{Client: w, recorder: w.events, Clock: clock.RealClock{}, Dial: w.dial}).Reconcile(w.t.Context(), ctrl.Request{NamespacedName: key}); err != nil {
			w.t.Fatal(err)
		}
	}
	got := &infrav1.GitBackedMachine{}
	if err := w.Get(w.t.Context(), key, got); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// said returns the events so far.
func (w *world) said() string {
	var all []string
	for len(w.events.Events) > 0 {
		all = append(all, <-w.events.Events)
	}
	return strings.Join(all, "\n")
}

func TestFromNothingToJoinedToReleased(t *testing.T) {
	t.Parallel()
	fresh := infra()
	fresh.Finalizers = nil
	waiting := machine()
	waiting.Spec.Bootstrap.DataSecretName = nil
	w := newWorld(t, cluster(), waiting, fresh, hub())

	got := w.settle()
	if got.Spec.ProviderID != "headless://default/worker-infra" || got.Status.Initialization.Provisioned != nil || len(got.Finalizers) != 1 {
		t.Errorf("before the user data: %+v", got)
	}

	waiting.ResourceVersion = ""
	current := machine()
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(current), current); err != nil {
		t.Fatal(err)
	}
	current.Spec.Bootstrap.DataSecretName = new("worker-data")
	if err := w.Update(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	got = w.settle()
	if p := got.Status.Initialization.Provisioned; p == nil || !*p || conditions.GetReason(got, infrav1.MachineReady) != ReasonWaitingForMachine {
		t.Errorf("with user data: %+v", got.Status)
	}
	if said := w.said(); strings.Count(said, "192.0.2.1:30443") != 1 {
		t.Errorf("events: %s", said)
	}

	current.Status.NodeRef.Name = "worker"
	if err := w.Status().Update(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	if got = w.settle(); !conditions.IsTrue(got, infrav1.MachineReady) || got.Status.ObservedGeneration != got.Generation {
		t.Errorf("with a Node: %+v", got.Status)
	}

	if err := w.Delete(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if got = w.settle(); got != nil {
		t.Errorf("not released: %+v", got)
	}
	if said := w.said(); strings.Count(said, "wipe") != 1 {
		t.Errorf("events: %s", said)
	}
}

func TestLawOneProviderID(t *testing.T) {
	t.Parallel()
	given := infra()
	given.Spec.ProviderID = "example:///rack/7"
	if got := newWorld(t, cluster(), machine(), given).settle(); got.Spec.ProviderID != "example:///rack/7" {
		t.Errorf("provider ID became %s", got.Spec.ProviderID)
	}
}

func TestDeletedWhileItsClusterIsGone(t *testing.T) {
	t.Parallel()
	now := metav1.Now()
	dying := infra()
	dying.DeletionTimestamp = &now
	if got := newWorld(t, machine(), dying.DeepCopy()).settle(); got != nil {
		t.Errorf("held back without Cluster: %+v", got)
	}
	if got := newWorld(t, dying.DeepCopy()).settle(); got != nil {
		t.Errorf("held back without Machine: %+v", got)
	}
}

func TestWaitsForOwnerAndPause(t *testing.T) {
	t.Parallel()
	orphan := infra()
	orphan.OwnerReferences, orphan.Finalizers = nil, nil
	if got := newWorld(t, cluster(), machine(), orphan).settle(); len(got.Finalizers) != 0 || got.Spec.ProviderID != "" {
		t.Errorf("an object without owner was touched: %+v", got)
	}
	asleep := cluster()
	asleep.Spec.Paused = new(true)
	if got := newWorld(t, asleep, machine(), infra()).settle(); !conditions.IsTrue(got, clusterv1.PausedCondition) || got.Spec.ProviderID != "" {
		t.Errorf("a paused object was reconciled: %+v", got)
	}
}
