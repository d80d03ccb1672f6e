// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
)

// paper is a fleet on paper: what Watch asks for is written down.
type paper map[string]Spec

func (p paper) Get(name string) (Machine, error) {
	s, ok := p[name]
	if !ok {
		return Machine{}, ErrNotFound
	}
	return Machine{Name: name, Owner: s.Owner, PID: 7}, nil
}

func (p paper) List() (all []Machine, err error) {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		m, _ := p.Get(name)
		all = append(all, m)
	}
	return all, nil
}

func (p paper) Create(_ context.Context, s Spec) (Machine, error) {
	p[s.Name] = s
	return p.Get(s.Name)
}

func (p paper) Delete(_ context.Context, name string) error {
	delete(p, name)
	return nil
}

func worker(change func(*infrav1.GitBackedMachine, *clusterv1.Machine, *heavenv1.AutomatedMerge)) []client.Object {
	infra := &infrav1.GitBackedMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "infra", OwnerReferences: []metav1.OwnerReference{{Kind: "Machine", Name: "worker"}}},
		Spec:       infrav1.GitBackedMachineSpec{External: &infrav1.ExternalMachine{}},
	}
	machine := &clusterv1.Machine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "worker"},
		Spec:       clusterv1.MachineSpec{ClusterName: "blue", Bootstrap: clusterv1.Bootstrap{DataSecretName: new("data")}},
	}
	hub := &heavenv1.AutomatedMerge{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	hub.Status.Endpoint.External = heavenv1.Endpoint{Host: "192.0.2.1", Port: 30443}
	if change != nil {
		change(infra, machine, hub)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"}, Data: map[string][]byte{"value": []byte("#cloud-config\n")}}
	return []client.Object{infra, machine, hub, secret}
}

func newWatcher(t *testing.T, fleet paper, objects ...client.Object) *watcher {
	t.Helper()
	scheme, err := Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	return &watcher{fleet: fleet, host: c, o: WatchOptions{Log: io.Discard}}
}

func TestWatchBringsWhatIsWaitedForAndDeletesWhatIsGone(t *testing.T) {
	t.Parallel()
	fleet := paper{"mine": {Name: "mine"}, "old": {Name: "old", Owner: "default/gone"}, "other": {Name: "other", Owner: "elsewhere/gone"}}
	w := newWatcher(t, fleet, worker(nil)...)
	w.o.Namespace = "default"
	for range 2 {
		if err := w.sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := fleet["worker"]
	if string(got.UserData) != "#cloud-config\n" || got.Owner != "default/infra" || !slices.Equal(got.Reach, []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:30443")}) {
		t.Errorf("brought %+v", got)
	}
	if want := []string{"mine", "other", "worker"}; !slices.Equal(slices.Sorted(maps.Keys(fleet)), want) {
		t.Errorf("machines are %v, want %v: one that a person made, one of another namespace, and the one that is waited for", slices.Sorted(maps.Keys(fleet)), want)
	}
	if err := w.host.Delete(t.Context(), worker(nil)[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.Get("worker"); err == nil {
		t.Error("the machine outlived its GitBackedMachine")
	}
}

func TestWatchWaits(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*infrav1.GitBackedMachine, *clusterv1.Machine, *heavenv1.AutomatedMerge)
		fleet  paper
		says   string
	}{
		"not external": {change: func(i *infrav1.GitBackedMachine, _ *clusterv1.Machine, _ *heavenv1.AutomatedMerge) {
			i.Spec.External = nil
		}},
		"no owner": {change: func(i *infrav1.GitBackedMachine, _ *clusterv1.Machine, _ *heavenv1.AutomatedMerge) {
			i.OwnerReferences = nil
		}},
		"no user data": {change: func(_ *infrav1.GitBackedMachine, m *clusterv1.Machine, _ *heavenv1.AutomatedMerge) {
			m.Spec.Bootstrap.DataSecretName = nil
		}},
		"no hub": {change: func(_ *infrav1.GitBackedMachine, _ *clusterv1.Machine, h *heavenv1.AutomatedMerge) {
			h.Status = heavenv1.AutomatedMergeStatus{}
		}, says: "AutomatedMerge default/blue has no external endpoint yet"},
		"name taken": {fleet: paper{"worker": {Name: "worker", Owner: "other/infra"}}, says: `exists for "other/infra"`},
	} {
		fleet := paper{}
		maps.Copy(fleet, tc.fleet)
		w := newWatcher(t, fleet, worker(tc.change)...)
		w.o.Namespace = "default"
		err := w.sync(t.Context())
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want %q", name, err, tc.says)
		}
		if len(fleet) != len(tc.fleet) {
			t.Errorf("%s: machines are %v", name, fleet)
		}
	}
}
