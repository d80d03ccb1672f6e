// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

const (
	// crowdClients call kube-apiserver at once.
	crowdClients = 32
	// crowdLists is how often all objects are listed.
	crowdLists = 5
	// tokenSize makes an object about 1 KiB.
	tokenSize = 500
)

// crowd is the objects of a kube-apiserver, its clients and its watchers.
type crowd struct {
	client           *kubernetes.Clientset
	configMaps, pods int

	stop   context.CancelFunc // of the watches
	seen   sync.WaitGroup
	events map[watch.EventType]*atomic.Int64
	fault  atomic.Pointer[error]

	// held are the config maps and pods as they were last answered; each is one client's at a time.
	heldMaps []*corev1.ConfigMap
	heldPods []*corev1.Pod
}

// begin makes the namespaces and starts the watches.
func (c *crowd) begin(ctx context.Context) error {
	for n := range namespaces {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: crowdNamespace(n)}}
		if _, err := c.client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create a namespace: %w", err)
		}
	}
	c.heldMaps, c.heldPods = make([]*corev1.ConfigMap, c.configMaps), make([]*corev1.Pod, c.pods)
	c.events = map[watch.EventType]*atomic.Int64{watch.Added: {}, watch.Modified: {}, watch.Deleted: {}}
	rv, err := c.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("read the revision to watch from: %w", err)
	}
	ctx, c.stop = context.WithCancel(ctx)
	c.seen.Go(func() { c.follow(ctx, rv.ResourceVersion, c.client.CoreV1().ConfigMaps("").Watch) })
	c.seen.Go(func() { c.follow(ctx, rv.ResourceVersion, c.client.CoreV1().Pods("").Watch) })
	return nil
}

// follow counts the events behind a revision, as an informer does: kube-apiserver
// ends a watch whose client is slow, and the client goes on where it was.
func (c *crowd) follow(ctx context.Context, from string, start func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)) {
	for ctx.Err() == nil {
		w, err := start(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=app", ResourceVersion: from})
		if err != nil {
			if ctx.Err() == nil {
				c.fail(fmt.Errorf("watch from %s: %w", from, err))
			}
			return
		}
		for e := range w.ResultChan() {
			n := c.events[e.Type]
			if n == nil {
				c.fail(fmt.Errorf("a watch ended: %v", e.Object))
				w.Stop()
				return
			}
			n.Add(1)
			o, err := meta.Accessor(e.Object)
			if err != nil {
				c.fail(fmt.Errorf("read an event: %w", err))
				w.Stop()
				return
			}
			from = o.GetResourceVersion()
		}
		w.Stop()
	}
}

func (c *crowd) fail(err error) { c.fault.CompareAndSwap(nil, &err) }

// end stops the watches.
func (c *crowd) end() {
	c.stop()
	c.seen.Wait()
}

func (c *crowd) step(ctx context.Context, name string) error {
	switch name {
	case "create":
		return c.all(ctx, c.createMap, c.createPod)
	case "update":
		return c.all(ctx, c.updateMap, c.updatePod)
	case "list":
		return c.lists(ctx)
	case "delete":
		return c.all(ctx, c.deleteMap, c.deletePod)
	default:
		return c.caughtUp(ctx)
	}
}

// all does something to all config maps, then to all pods, many at a time.
func (c *crowd) all(ctx context.Context, toMap, toPod func(ctx context.Context, i int) error) error {
	for _, part := range []struct {
		n    int
		call func(ctx context.Context, i int) error
	}{{c.configMaps, toMap}, {c.pods, toPod}} {
		var next atomic.Int64
		var group sync.WaitGroup
		var firstErr atomic.Pointer[error]
		for range crowdClients {
			group.Go(func() {
				for firstErr.Load() == nil {
					i := int(next.Add(1)) - 1
					if i >= part.n {
						return
					}
					if err := part.call(ctx, i); err != nil {
						firstErr.CompareAndSwap(nil, &err)
					}
				}
			})
		}
		group.Wait()
		if err := firstErr.Load(); err != nil {
			return *err
		}
	}
	return nil
}

// token is text that no other object has.
func token() string {
	var b strings.Builder
	for b.Len() < tokenSize {
		fmt.Fprintf(&b, "%016x", rand.Uint64())
	}
	return b.String()[:tokenSize]
}

func (c *crowd) createMap(ctx context.Context, i int) (err error) {
	c.heldMaps[i], err = c.client.CoreV1().ConfigMaps(crowdNamespace(i)).Create(ctx, c.configMap(i, token()), metav1.CreateOptions{})
	return err
}

func (c *crowd) createPod(ctx context.Context, i int) (err error) {
	c.heldPods[i], err = c.client.CoreV1().Pods(crowdNamespace(i)).Create(ctx, c.pod(i), metav1.CreateOptions{})
	return err
}

func (c *crowd) updateMap(ctx context.Context, i int) (err error) {
	m := c.heldMaps[i]
	m.Data["token"] = token()
	c.heldMaps[i], err = c.client.CoreV1().ConfigMaps(m.Namespace).Update(ctx, m, metav1.UpdateOptions{})
	return err
}

func (c *crowd) updatePod(ctx context.Context, i int) (err error) {
	p := c.heldPods[i]
	p.Status.Phase = corev1.PodRunning
	p.Status.Message = token()[:64]
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}
	c.heldPods[i], err = c.client.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{})
	return err
}

func (c *crowd) deleteMap(ctx context.Context, i int) error {
	return c.client.CoreV1().ConfigMaps(crowdNamespace(i)).Delete(ctx, c.heldMaps[i].Name, metav1.DeleteOptions{})
}

func (c *crowd) deletePod(ctx context.Context, i int) error {
	return c.client.CoreV1().Pods(crowdNamespace(i)).Delete(ctx, c.heldPods[i].Name, metav1.DeleteOptions{})
}

// lists reads everything some times: as the store has it, as the watch cache
// has it, in pages, and at the revision of before.
func (c *crowd) lists(ctx context.Context) error {
	for range crowdLists {
		first, err := c.client.CoreV1().ConfigMaps("").List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=app"})
		if err != nil {
			return err
		}
		if n := len(first.Items); n != c.configMaps {
			return fmt.Errorf("%d config maps are listed, not %d", n, c.configMaps)
		}
		for _, o := range []metav1.ListOptions{
			{ResourceVersion: "0"},
			{Limit: pageSize},
			{ResourceVersion: first.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchExact},
		} {
			if err := c.listPods(ctx, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *crowd) listPods(ctx context.Context, o metav1.ListOptions) error {
	seen := 0
	for {
		list, err := c.client.CoreV1().Pods("").List(ctx, o)
		if err != nil {
			return err
		}
		seen += len(list.Items)
		if list.Continue == "" {
			break
		}
		o.Continue = list.Continue
	}
	if seen != c.pods && o.ResourceVersion != "0" { // the watch cache may be behind
		return fmt.Errorf("%d pods are listed, not %d", seen, c.pods)
	}
	return nil
}

// caughtUp waits until the watches have seen everything.
func (c *crowd) caughtUp(ctx context.Context) error {
	want := int64(c.configMaps + c.pods)
	for deadline := time.Now().Add(eventPatience); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(time.Millisecond) {
		if err := c.fault.Load(); err != nil {
			return *err
		}
		if c.events[watch.Deleted].Load() == want {
			break
		}
	}
	if a, m, d := c.events[watch.Added].Load(), c.events[watch.Modified].Load(), c.events[watch.Deleted].Load(); a != want || m < want || d != want {
		return fmt.Errorf("watches saw %d objects added, %d modified, %d deleted, not each of %d", a, m, d, want)
	}
	return errors.Join(ctx.Err())
}
