// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func above(limit int) func(int) bool { return func(n int) bool { return n > limit } }

// Law 1.
func TestFirstRowDecides(t *testing.T) {
	t.Parallel()
	table := Table[int]{
		If(above(10), metav1.ConditionTrue, "Much", Say[int]("much")),
		If(above(5), metav1.ConditionFalse, "Some", Say[int]("some")),
	}
	for n, want := range map[int]metav1.Condition{
		11: {Type: "Enough", Status: metav1.ConditionTrue, Reason: "Much", Message: "much"},
		6:  {Type: "Enough", Status: metav1.ConditionFalse, Reason: "Some", Message: "some"},
		1:  {Type: "Enough", Status: metav1.ConditionUnknown, Reason: ReasonNotObserved},
	} {
		if got := table.Decide("Enough", n); got != want {
			t.Errorf("%d: got %+v, want %+v", n, got, want)
		}
	}
	withElse := slices.Concat(table, Table[int]{Else(metav1.ConditionFalse, "Little", Say[int](""))})
	if got := withElse.Decide("Enough", 1); got.Reason != "Little" || got.Status != metav1.ConditionFalse {
		t.Errorf("got %+v, want the last row", got)
	}
}

// Law 2.
func TestPhasesEnd(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, tc := range []struct {
		says, want error
		ran        int
	}{{nil, nil, 3}, {broken, broken, 2}, {ErrStop, nil, 2}} {
		ran := 0
		good := func(context.Context, *int) error { ran++; return nil }
		ends := func(context.Context, *int) error { ran++; return tc.says }
		if err := Run(t.Context(), new(int), good, ends, good); !errors.Is(err, tc.want) || ran != tc.ran {
			t.Errorf("a phase says %v: %d ran, with %v; want %d, with %v", tc.says, ran, err, tc.ran, tc.want)
		}
	}
}

// Law 3, and what Open does before: a first reconcile sets the finalizer, a paused object is left alone.
func TestFromOpenToPatch(t *testing.T) {
	t.Parallel()
	s := runtime.NewScheme()
	if err := clusterv1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	machine := &clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "m"}}
	gone := false
	c := fake.NewClientBuilder().WithScheme(s).WithObjects(machine).WithStatusSubresource(machine).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if gone {
				return apierrors.NewNotFound(schema.GroupResource{Resource: "machines"}, o.GetName())
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	}).Build()
	reconcile := func(cluster *clusterv1.Cluster, phase string) (bool, error) {
		t.Helper()
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(machine), machine); err != nil {
			t.Fatal(err)
		}
		helper, err := Open(t.Context(), c, cluster, machine, "example.org/f")
		if err != nil || helper == nil {
			return false, err
		}
		machine.Status.Phase = phase
		if !machine.DeletionTimestamp.IsZero() {
			machine.Finalizers = nil
		}
		return true, Patch(t.Context(), helper, machine, nil, true)
	}
	expect := func(cluster *clusterv1.Cluster, phase string, opened, fails bool) {
		t.Helper()
		if got, err := reconcile(cluster, phase); got != opened || (err != nil) != fails {
			t.Errorf("opened is %t, with %v; want %t, failing %t", got, err, opened, fails)
		}
	}
	expect(nil, "", false, false)
	if !slices.Contains(machine.Finalizers, "example.org/f") {
		t.Errorf("the first reconcile did not set the finalizer: %v", machine.Finalizers)
	}
	paused := &clusterv1.Cluster{Spec: clusterv1.ClusterSpec{Paused: new(true)}}
	for range 3 {
		expect(paused, "", false, false)
	}
	expect(nil, "", false, false) // that it is paused no longer is written first
	expect(nil, "Running", true, false)
	gone = true
	expect(nil, "Failed", true, true)
	if err := c.Delete(t.Context(), machine); err != nil {
		t.Fatal(err)
	}
	expect(nil, "Deleting", true, false)
}

// Law 4.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	r := events.NewFakeRecorder(10)
	about := &corev1.Pod{}
	now := &metav1.Condition{Status: metav1.ConditionFalse, Reason: "Broken", Message: "It is broken"}
	Announce(r, about, nil, now, "Broken")
	Announce(r, about, now, &metav1.Condition{Status: now.Status, Reason: now.Reason, Message: "It is broken still"}, "Broken")
	Announce(r, about, now, &metav1.Condition{Status: metav1.ConditionTrue, Reason: "Whole", Message: "It is whole"}, "Broken")
	close(r.Events)
	var told []string
	for e := range r.Events {
		told = append(told, e)
	}
	if want := []string{"Warning Broken It is broken", "Normal Whole It is whole"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "a b": "A b", "A": "A"} {
		if got := Sentence(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
