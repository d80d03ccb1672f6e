// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// requestTimeout bounds each request: a paused API server must not hold a client for good.
const requestTimeout = 15 * time.Second

// hollow is a node without containers: it does at its own API server what a
// kubelet does, with a kubelet's rights. What "runs" is a note in memory, which
// like a container outlives the kubelet and its API server.
type hollow struct {
	*node
	kubelet *kubernetes.Clientset
	index   int
	next    int // address
}

// addHollow starts a node's heaven and its hollow kubelet, until the context ends.
func (c *cluster) addHollow(ctx context.Context, t *testing.T, index int) (*node, <-chan struct{}) {
	t.Helper()
	name := fmt.Sprintf("n%d", index)
	n := &hollow{node: &node{member: c.join(t, "nodes/"+name), ran: map[types.UID]*life{}}, index: index}
	c.ca.leaf(t, "kubelet-"+name, "system:node:"+name, "system:nodes")
	n.kubelet = n.connect(t, "kubelet-"+name)
	eventually(t, patience, "register "+name, n.register)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var loops sync.WaitGroup
		loops.Go(func() { every(ctx, c.tuning.renew, n.heartbeat) })
		loops.Go(func() { every(ctx, 250*time.Millisecond, n.sync) })
		loops.Wait()
	}()
	return n.node, done
}

// every does something again and again; what fails is tried again, as a kubelet does.
func every(ctx context.Context, pause time.Duration, do func(context.Context) error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		_ = do(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (n *hollow) register(ctx context.Context) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{corev1.LabelHostname: n.name}}}
	if _, err := n.kubelet.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return n.postStatus(ctx)
}

func (n *hollow) postStatus(ctx context.Context) error {
	node, err := n.kubelet.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	now := metav1.Now()
	node.Status.Capacity = corev1.ResourceList{"cpu": resource.MustParse("16"), "memory": resource.MustParse("32Gi"), "pods": resource.MustParse("110")}
	node.Status.Allocatable = node.Status.Capacity
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now}
	node.Status.Conditions = slices.DeleteFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	node.Status.Conditions = append(node.Status.Conditions, ready)
	_, err = n.kubelet.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
	return err
}

// heartbeat renews the lease, and says that the node is ready if somebody says otherwise.
func (n *hollow) heartbeat(ctx context.Context) error {
	node, err := n.kubelet.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			if err := n.postStatus(ctx); err != nil {
				return err
			}
		}
	}
	leases := n.kubelet.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now := metav1.NowMicro()
	lease, err := leases.Get(ctx, n.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: n.name, OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: n.name, UID: node.UID}}},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: new(n.name), LeaseDurationSeconds: new(int32(40)), RenewTime: &now},
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	lease.Spec.RenewTime = &now
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

// sync brings what runs, and what is said of it, in line with the pods bound to this node.
func (n *hollow) sync(ctx context.Context) error {
	list, err := n.kubelet.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", n.name).String()})
	if err != nil {
		return err // what runs goes on
	}
	now := time.Now()
	bound := map[types.UID]struct{}{}
	for i := range list.Items {
		pod := &list.Items[i]
		bound[pod.UID] = struct{}{}
		if err := n.syncPod(ctx, pod, now); err != nil && ctx.Err() != nil {
			return err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for uid, l := range n.ran {
		if _, ok := bound[uid]; !ok && l.Ended.IsZero() {
			l.Ended = now // its object is gone: the containers go
		}
	}
	return nil
}

func (n *hollow) syncPod(ctx context.Context, pod *corev1.Pod, now time.Time) error {
	n.mu.Lock()
	l := n.ran[pod.UID]
	if l == nil && pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
		n.next++
		l = &life{Node: n.name, Name: pod.Namespace + "/" + pod.Name, UID: pod.UID, Began: now, Address: fmt.Sprintf("10.244.%d.%d", n.index, n.next)}
		if l.job = pod.Spec.RestartPolicy != corev1.RestartPolicyAlways; l.job {
			l.due = now.Add(500*time.Millisecond + rand.N(2*time.Second))
		}
		n.ran[pod.UID] = l
	}
	if l != nil && l.job && l.Ended.IsZero() && now.After(l.due) && l.stopping.IsZero() {
		l.Ended, l.succeeded = now, true
	}
	if l != nil && pod.DeletionTimestamp != nil && l.Ended.IsZero() {
		if l.stopping.IsZero() {
			l.stopping = now.Add(rand.N(time.Second))
		} else if now.After(l.stopping) {
			l.Ended = now
		}
	}
	var status corev1.PodStatus
	var gone bool
	if l != nil {
		status, gone = l.status(pod), !l.Ended.IsZero()
	} else {
		gone = true
	}
	n.mu.Unlock()
	if l != nil && !said(pod.Status, status) && l.may(status.Phase, now) {
		if err := n.say(ctx, pod, status); err != nil {
			return err
		}
		l.saying, l.said = status.Phase, now
	}
	if gone && pod.DeletionTimestamp != nil {
		return n.kubelet.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	}
	return nil
}

// status is what a kubelet would say of a pod.
func (l *life) status(pod *corev1.Pod) corev1.PodStatus {
	s := corev1.PodStatus{PodIP: l.Address, PodIPs: []corev1.PodIP{{IP: l.Address}}, StartTime: &metav1.Time{Time: l.Began.Truncate(time.Second)}}
	ready := corev1.ConditionFalse
	container := corev1.ContainerStatus{Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image}
	switch {
	case l.succeeded:
		s.Phase = corev1.PodSucceeded
		container.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", FinishedAt: metav1.Time{Time: l.Ended.Truncate(time.Second)}}
	case !l.Ended.IsZero():
		s.Phase = corev1.PodFailed
		container.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 137, FinishedAt: metav1.Time{Time: l.Ended.Truncate(time.Second)}}
	default:
		ready = corev1.ConditionTrue
		s.Phase = corev1.PodRunning
		container.Ready, container.Started = true, new(true)
		container.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.Time{Time: l.Began.Truncate(time.Second)}}
	}
	s.ContainerStatuses = []corev1.ContainerStatus{container}
	for _, t := range []corev1.PodConditionType{corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady} {
		status := ready
		if t == corev1.PodInitialized {
			status = corev1.ConditionTrue
		}
		s.Conditions = append(s.Conditions, corev1.PodCondition{Type: t, Status: status})
	}
	return s
}

// reconcile is how often a kubelet says again what somebody else has overwritten.
const reconcile = 10 * time.Second

func (l *life) may(phase corev1.PodPhase, now time.Time) bool {
	return phase != l.saying || now.Sub(l.said) > reconcile
}

// said says whether an API server has a status already.
func said(have, want corev1.PodStatus) bool {
	if have.Phase != want.Phase || have.PodIP != want.PodIP {
		return false
	}
	for _, w := range want.Conditions {
		if !slices.ContainsFunc(have.Conditions, func(h corev1.PodCondition) bool { return h.Type == w.Type && h.Status == w.Status }) {
			return false
		}
	}
	return true
}

// say patches a status as a kubelet does: its own conditions only, and only of this very pod.
func (n *hollow) say(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	now := metav1.Now()
	for i := range status.Conditions {
		status.Conditions[i].LastTransitionTime = now
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = n.kubelet.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}
