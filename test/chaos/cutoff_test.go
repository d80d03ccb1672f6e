// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

var (
	longFlag = flag.Bool("chaos.long", false, "run what takes minutes as well")
	cutFlag  = flag.Duration("chaos.cut", 4*time.Minute, "how long heavens are cut off with what is shipped")
)

func long(t *testing.T) {
	t.Helper()
	if !*longFlag {
		t.Skip("takes minutes: say -chaos.long, or run make chaos")
	}
	t.Parallel()
}

// quick is a cluster that loses patience within seconds: a node is unreachable
// after 6 s, and its pods stay for another 20 s.
func quick() tuning {
	return tuning{
		renew: time.Second, eager: true, addNode: (*cluster).addHollow, after: 2 * time.Second, settle: 35 * time.Second,
		manager:   []string{"--node-monitor-grace-period=6s", "--node-monitor-period=1s"},
		apiServer: []string{"--default-unreachable-toleration-seconds=20", "--default-not-ready-toleration-seconds=20"},
	}
}

// TestCutOff cuts heavens off, for less and for more than the cluster's
// patience, and looks at what becomes of pods meanwhile and when links heal.
func TestCutOff(t *testing.T) {
	long(t)
	w := newWorld(t, 2, quick())
	work := newWorkload(w.front.client, 0)
	work.deploy(t, "web", 4)
	eventually(t, patience, "pods run", func(ctx context.Context) error { return w.quiet(ctx, work) })
	n1 := w.nodes[0]

	t.Run("a node keeps its pods over a cut that is shorter than patience", func(t *testing.T) {
		w.keepsPods(t, []*link{n1.link}, condition{cut: true}, 8*time.Second, work)
	})
	t.Run("a node that is away for longer is replaced, and sorted out when it returns", func(t *testing.T) {
		w.replaced(t, n1, work)
	})
	work.deploy(t, "more", 4) // the first node is empty now
	eventually(t, patience, "pods run", func(ctx context.Context) error { return w.quiet(ctx, work) })
	t.Run("nobody is evicted because kube-controller-manager is cut off", func(t *testing.T) {
		w.keepsPods(t, []*link{w.manager.link}, condition{cut: true}, 35*time.Second, work)
	})
	t.Run("nobody is evicted because kube-controller-manager hears of news that it cannot fetch", func(t *testing.T) {
		w.keepsPods(t, []*link{w.manager.link}, condition{deafUp: true}, 35*time.Second, work)
	})
	t.Run("nobody is evicted because the hub is gone", func(t *testing.T) {
		var all []*link
		for _, m := range w.members() {
			all = append(all, m.link)
		}
		w.keepsPods(t, all, condition{cut: true}, 35*time.Second, work)
	})
	w.settle(t, work)
	w.rest(t)
	o := w.oracle(t, work)
	o.evictions = true
	o.check()
}

// TestCutOffAsShipped does it with the patience that is shipped.
func TestCutOffAsShipped(t *testing.T) {
	long(t)
	w := newWorld(t, 2, shippedTuning())
	work := newWorkload(w.front.client, 0)
	work.deploy(t, "web", 4)
	eventually(t, patience, "pods run", func(ctx context.Context) error { return w.quiet(ctx, work) })
	t.Run("a node keeps its pods", func(t *testing.T) { w.keepsPods(t, []*link{w.nodes[0].link}, condition{cut: true}, *cutFlag, work) })
	t.Run("nobody is evicted because kube-controller-manager is cut off", func(t *testing.T) {
		w.keepsPods(t, []*link{w.manager.link}, condition{cut: true}, *cutFlag, work)
	})
	w.settle(t, work)
	w.rest(t)
	w.oracle(t, work).check()
}

// deploy creates a Deployment that a person then knows of.
func (w *workload) deploy(t *testing.T, name string, replicas int32) {
	t.Helper()
	labels := map[string]string{"app": name}
	d, err := w.client.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec(corev1.RestartPolicyAlways)},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.told = append(w.told, &told{
		Kind: "Deployment", Name: name, UID: d.UID, Created: time.Now(),
		Fields: map[string]*field{replicasField: {Value: fmt.Sprint(replicas)}, roundField: {Value: "0"}},
	})
}

// keepsPods makes links bad for a while, and sees to it that the same pods run
// before, meanwhile and after; that everybody can write meanwhile; and that
// what was written is everywhere afterwards.
func (w *world) keepsPods(t *testing.T, links []*link, how condition, length time.Duration, work *workload) {
	t.Helper()
	before := w.runningPods()
	for _, l := range links {
		l.set(how)
	}
	t.Logf("%s for %s; %d pods run", how, length, len(before))
	token := fmt.Sprint(time.Now().UnixNano())
	begin := time.Now()
	for _, m := range w.members() {
		if err := m.leaveWord(t.Context(), token); err != nil {
			t.Errorf("a write at %s while links are bad: %v", m.name, err)
		}
		if err := m.findWord(t.Context(), m, token); err != nil {
			t.Errorf("a read at %s while links are bad: %v", m.name, err)
		}
	}
	time.Sleep(time.Until(begin.Add(length)))
	w.sameAs(t, before, "while links are bad")
	w.sayNodes(t, w.manager)
	for _, l := range links {
		l.set(condition{})
	}
	healed := time.Now()
	var unready time.Duration
	eventually(t, patience, "all is as before", func(ctx context.Context) error {
		if err := errors.Join(w.allReady(ctx, w.front), w.allReady(ctx, w.manager), w.quiet(ctx, work), w.podsReady(ctx)); err != nil {
			unready = time.Since(healed)
			return err
		}
		return nil
	})
	t.Logf("as before %s after the links healed (by then nodes and pods are said to be ready)", unready.Round(100*time.Millisecond))
	// A storm would come now: the taints' time would be up.
	time.Sleep(min(length, 10*time.Second))
	w.sameAs(t, before, "after the links healed")
	for _, m := range w.members() {
		for _, at := range w.members() {
			eventually(t, patience, "what "+m.name+" wrote, at "+at.name, func(ctx context.Context) error {
				return m.findWord(ctx, at, token)
			})
		}
	}
}

// leaveWord writes something that the heaven's gate lets it write: a node an
// annotation of its Node, the others, which hold no pods, a lease.
func (m *member) leaveWord(ctx context.Context, token string) error {
	if strings.HasPrefix(m.branch, "nodes/") {
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"chaos.example.org/word":%q}}}`, token)
		_, err := m.client.CoreV1().Nodes().Patch(ctx, m.name, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: m.name + "-" + token}}
	_, err := m.client.CoordinationV1().Leases(namespace).Create(ctx, lease, metav1.CreateOptions{})
	return err
}

// findWord looks for it at another heaven.
func (m *member) findWord(ctx context.Context, at *member, token string) error {
	if strings.HasPrefix(m.branch, "nodes/") {
		n, err := at.client.CoreV1().Nodes().Get(ctx, m.name, metav1.GetOptions{})
		if err == nil && n.Annotations["chaos.example.org/word"] != token {
			err = fmt.Errorf("node %s has the annotations %v", m.name, n.Annotations)
		}
		return err
	}
	_, err := at.client.CoordinationV1().Leases(namespace).Get(ctx, m.name+"-"+token, metav1.GetOptions{})
	return err
}

// podsReady complains about pods that are said not to be ready.
func (w *world) podsReady(ctx context.Context) error {
	pods, err := w.front.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var waits []error
	for i := range pods.Items {
		for _, c := range pods.Items[i].Status.Conditions {
			if c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue {
				waits = append(waits, fmt.Errorf("pod %s is not ready", pods.Items[i].Name))
			}
		}
	}
	return errors.Join(waits...)
}

func (w *world) runningPods() map[types.UID]string {
	all := map[types.UID]string{}
	for _, n := range w.nodes {
		maps.Copy(all, n.running())
	}
	return all
}

func (w *world) sameAs(t *testing.T, before map[types.UID]string, when string) {
	t.Helper()
	if now := w.runningPods(); !maps.Equal(now, before) {
		t.Errorf("%s pods changed: %v ran, %v run", when, slices.Sorted(maps.Values(before)), slices.Sorted(maps.Values(now)))
	}
	for _, m := range w.members() {
		pods, err := m.client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range pods.Items {
			if p := &pods.Items[i]; p.DeletionTimestamp != nil || before[p.UID] == "" {
				t.Errorf("%s %s has pod %s (uid %s), deleted at %v", when, m.name, p.Name, p.UID, p.DeletionTimestamp)
			}
		}
	}
}

// sayNodes logs what somebody thinks of the nodes.
func (w *world) sayNodes(t *testing.T, at *member) {
	t.Helper()
	nodes, err := at.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range nodes.Items {
		n := &nodes.Items[i]
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady {
				t.Logf("%s says that %s is ready: %s (%s), taints %v", at.name, n.Name, c.Status, c.Reason, n.Spec.Taints)
			}
		}
	}
}

// replaced cuts a node off until its pods are replaced elsewhere, and heals it.
func (w *world) replaced(t *testing.T, n *node, work *workload) {
	t.Helper()
	before := n.running()
	if len(before) == 0 {
		t.Fatal("no pod runs on the node: the test proves nothing")
	}
	n.link.set(condition{cut: true})
	eventually(t, patience, "pods elsewhere", func(context.Context) error {
		elsewhere := 0
		for _, other := range w.nodes {
			if other != n {
				elsewhere += len(other.running())
			}
		}
		if elsewhere < 4 {
			return fmt.Errorf("%d pods run elsewhere", elsewhere)
		}
		return nil
	})
	if now := n.running(); !maps.Equal(now, before) {
		t.Errorf("the node that is cut off ran %v and runs %v", before, now)
	}
	n.link.set(condition{})
	eventually(t, patience, "the node is back", func(ctx context.Context) error {
		return errors.Join(w.allReady(ctx, w.front), w.quiet(ctx, work))
	})
	for uid, name := range before {
		if _, ok := n.running()[uid]; ok {
			t.Errorf("pod %s was replaced and still runs", name)
		}
	}
}
