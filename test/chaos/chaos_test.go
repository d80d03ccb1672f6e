// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	seedFlag     = flag.Uint64("chaos.seed", 0, "the seed of faults and workload; 0 is a new one")
	durationFlag = flag.Duration("chaos.duration", 25*time.Second, "how long faults happen")
	nodesFlag    = flag.Int("chaos.nodes", 2, "hollow nodes")
	killsFlag    = flag.Bool("chaos.kills", false, "only kill gitcd, again and again, and let all else be")
	keepFlag     = flag.String("chaos.keep", "", "where to keep the repositories and logs of runs that fail")
	longestFlag  = flag.Duration("chaos.longest", 8*time.Second, "the longest fault")
)

// world is a cluster with everything in it.
type world struct {
	*cluster
	front, manager, scheduler *member
	nodes                     []*node
	stopNodes                 context.CancelFunc
	stopped                   []<-chan struct{}
}

// newWorld starts the front door, then the others at once.
func newWorld(t *testing.T, nodes int, tune tuning) *world {
	t.Helper()
	w := &world{cluster: newCluster(t, tune)}
	w.front = w.join(t, "heavens/apiserver")
	w.manager = w.join(t, "heavens/kube-controller-manager")
	w.manager.run(t, tune.manager...)
	w.scheduler = w.join(t, "heavens/kube-scheduler")
	w.scheduler.run(t)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	w.stopNodes = cancel
	t.Cleanup(cancel)
	for i := range nodes {
		n, done := tune.addNode(w.cluster, ctx, t, i+1)
		w.nodes = append(w.nodes, n)
		w.stopped = append(w.stopped, done)
	}
	eventually(t, patience, "all nodes are ready", func(ctx context.Context) error {
		return w.allReady(ctx, w.manager)
	})
	return w
}

func (w *world) allReady(ctx context.Context, at *member) error {
	list, err := at.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	ready := 0
	for i := range list.Items {
		n := &list.Items[i]
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(n.Spec.Taints) == 0 {
				ready++
			}
		}
	}
	if ready != len(w.nodes) {
		return fmt.Errorf("%d nodes of %d are ready", ready, len(w.nodes))
	}
	return nil
}

func (w *world) members() []*member {
	all := []*member{w.front, w.manager, w.scheduler}
	for _, n := range w.nodes {
		all = append(all, n.member)
	}
	return all
}

// targets are all that faults happen to, in an order that does not change.
func (w *world) targets() []target {
	hub := target{name: "the hub", process: []*process{w.hub}}
	for _, m := range w.members() {
		hub.over = append(hub.over, m.link)
	}
	all := []target{hub}
	for _, m := range w.members() {
		processes := append([]*process{m.gitcd, m.kube}, m.others...)
		if m.component != nil {
			processes = append(processes, m.component)
		}
		all = append(all, target{name: "the link of " + m.name, link: m.link}, target{name: "all of " + m.name, process: processes})
		for _, p := range processes {
			one := target{name: p.name, process: []*process{p}}
			if p == m.gitcd {
				one.over = []*link{m.link}
			}
			all = append(all, one)
		}
	}
	return all
}

// TestHollow runs the real programs, and nodes that are hollow, through faults
// at random, and asks the oracle.
func TestHollow(t *testing.T) {
	t.Parallel()
	misfortunes(t, shippedTuning())
}

// misfortunes runs a world through faults at random, and asks the oracle.
func misfortunes(t *testing.T, tune tuning) {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("repeat the order of faults with -chaos.seed=%d -chaos.duration=%s -chaos.nodes=%d -chaos.longest=%s -chaos.kills=%t", seed, *durationFlag, *nodesFlag, *longestFlag, *killsFlag)
	began := time.Now()
	w := newWorld(t, *nodesFlag, tune)
	t.Logf("up after %s", time.Since(began).Round(time.Second))

	work := newWorkload(w.front.client, seed)
	ctx, cancel := context.WithTimeout(t.Context(), *durationFlag)
	defer cancel()
	m := &misfortune{t: t, targets: map[string]target{}}
	targets := w.targets()
	for _, one := range targets {
		m.targets[one.name] = one
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		work.run(ctx)
	}()
	faults := plan(seed, targets, *durationFlag, *longestFlag)
	m.run(ctx, faults)
	<-done
	t.Logf("%d faults, %d requests acknowledged, %d without an answer; all is healed after %s", len(faults), work.acked, work.lost, time.Since(began).Round(time.Second))

	w.settle(t, work)
	t.Logf("settled after %s", time.Since(began).Round(time.Second))
	w.rest(t)
	w.oracle(t, work).check()
	t.Logf("checked after %s", time.Since(began).Round(time.Second))
}

// settle waits until the controllers have nothing left to do.
func (w *world) settle(t *testing.T, work *workload) {
	t.Helper()
	if err := until(t.Context(), patience, func(ctx context.Context) error { return w.quiet(ctx, work) }); err != nil {
		t.Errorf("the cluster does not come to rest: not after %s: %v", patience, err)
	}
}

// quiet says what the front door still waits for.
func (w *world) quiet(ctx context.Context, work *workload) error {
	var waits []error
	deployments, err := w.front.client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range deployments.Items {
		waits = append(waits, deploymentWaits(&deployments.Items[i]))
	}
	jobs, err := w.front.client.BatchV1().Jobs(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range jobs.Items {
		waits = append(waits, jobWaits(&jobs.Items[i]))
	}
	pods, err := w.front.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodPending {
			waits = append(waits, fmt.Errorf("pod %s (uid %s) on %q is %s, deleted at %v", p.Name, p.UID, p.Spec.NodeName, p.Status.Phase, p.DeletionTimestamp))
		}
	}
	waits = append(waits, w.nodesWait(pods.Items)...)
	for _, o := range work.gone() {
		if err := w.exists(ctx, o); err != nil {
			waits = append(waits, err)
		}
	}
	return errors.Join(waits...)
}

// nodesWait compares what nodes run with what they should.
func (w *world) nodesWait(pods []corev1.Pod) (waits []error) {
	for _, n := range w.nodes {
		running := n.running()
		for i := range pods {
			p := &pods[i]
			if p.Spec.NodeName != n.name || p.Status.Phase != corev1.PodRunning {
				continue
			}
			if _, ok := running[p.UID]; !ok {
				waits = append(waits, fmt.Errorf("pod %s (uid %s) is said to run on %s, which does not run it", p.Name, p.UID, n.name))
			}
			delete(running, p.UID)
		}
		for uid, name := range running {
			waits = append(waits, fmt.Errorf("%s runs pod %s (uid %s), which the front door does not know as running there", n.name, name, uid))
		}
	}
	return waits
}

func deploymentWaits(d *appsv1.Deployment) error {
	s := d.Status
	if d.DeletionTimestamp != nil || s.ObservedGeneration < d.Generation || s.Replicas != *d.Spec.Replicas || s.UpdatedReplicas != s.Replicas || s.AvailableReplicas != s.Replicas {
		return fmt.Errorf("deployment %s wants %d replicas in generation %d, has %d updated, %d available, %d in all in generation %d, deleted at %v",
			d.Name, *d.Spec.Replicas, d.Generation, s.UpdatedReplicas, s.AvailableReplicas, s.Replicas, s.ObservedGeneration, d.DeletionTimestamp)
	}
	return nil
}

func jobWaits(j *batchv1.Job) error {
	for _, c := range j.Status.Conditions {
		if c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue && j.DeletionTimestamp == nil {
			return nil
		}
	}
	return fmt.Errorf("job %s has %d of %d succeeded, %d active, %d failed, deleted at %v", j.Name, j.Status.Succeeded, *j.Spec.Completions, j.Status.Active, j.Status.Failed, j.DeletionTimestamp)
}

// exists complains about an object that was deleted and is there.
func (w *world) exists(ctx context.Context, o told) error {
	out, err := git(ctx, w.path("hub.git"), "ls-tree", "--name-only", "main", o.path())
	if err != nil {
		return err
	}
	if strings.TrimSpace(out) != "" {
		return fmt.Errorf("%s %s is still in main", o.Kind, o.Name)
	}
	return nil
}

// rest stops all that writes, once nothing more is to be done, and waits for one tree.
func (w *world) rest(t *testing.T) {
	t.Helper()
	w.manager.component.stop()
	w.scheduler.component.stop()
	w.stopNodes()
	for _, done := range w.stopped {
		<-done
	}
	err := until(t.Context(), patience, func(ctx context.Context) error {
		main, err := tree(ctx, w.path("hub.git"), "main")
		if err != nil {
			return err
		}
		var differ []error
		for _, m := range w.members() {
			own, err := tree(ctx, m.path("repository.git"), m.branch)
			if err != nil {
				return err
			}
			if own != main {
				differ = append(differ, fmt.Errorf("%s has the tree %s, main %s", m.branch, own, main))
			}
		}
		return errors.Join(differ...)
	})
	if err != nil {
		t.Errorf("the heavens do not converge: not after %s: %v", patience, err)
	}
	for _, m := range w.members() {
		if m.gitcd.fenced {
			t.Errorf("gitcd of %s was fenced, though its branch had no other writer", m.branch)
		}
	}
}
