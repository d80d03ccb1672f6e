// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

const (
	// deployed is how many pods the Deployment has, warming how many the one before the first that counts.
	deployed, warming = 50, 5
	podsNamespace     = "bench-pods"
	podsPatience      = 5 * time.Minute
)

// ordinary is a second sandbox: one node, one kube-apiserver on etcd.
var ordinary = []string{"--name", "ordinary", "--state-dir", "/var/lib/headless-ordinary", "--network", "10.209.0.0/16", "--store", sandbox.StoreEtcd}

// control is a control plane and the cluster's clients.
type control struct {
	peer   string // in whose column its times go
	what   string
	client *kubernetes.Clientset
}

// pods deploys pods on a headless cluster and on an ordinary one, in turn, both
// with a real kubelet and containerd. While one works the other one idles.
func (b *bench) pods(ctx context.Context, round int) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("pods: the sandbox makes namespaces and containers: run it as root")
	}
	if round == b.scale.rounds-1 {
		defer func() {
			err = errors.Join(err, b.sandbox(context.WithoutCancel(ctx), append([]string{"down"}, ordinary[:6]...)...))
		}()
	}
	if round == 0 {
		for _, args := range [][]string{{"quickstart"}, append([]string{"up"}, ordinary...), append([]string{"images", "load", "pause"}, ordinary...)} {
			if err := b.sandbox(ctx, args...); err != nil {
				return err
			}
		}
	}
	blue, err := connect(gitcd, "headless", filepath.Join(sandbox.DefaultStateDir, "clusters", "blue", "kubeconfig"))
	if err != nil {
		return err
	}
	plain, err := connect(etcd, "ordinary", "/var/lib/headless-ordinary/kubeconfig")
	if err != nil {
		return err
	}
	order := []*control{plain, blue}
	if round%2 == 1 {
		slices.Reverse(order)
	}
	for _, c := range order {
		if round == 0 {
			if _, _, err := c.deploy(ctx, warming); err != nil {
				return err
			}
		}
		running, gone, err := b.onTheWire(ctx, c)
		if err != nil {
			return err
		}
		b.table.add("pods.running", c.peer, running.Seconds())
		b.table.add("pods.gone", c.peer, gone.Seconds())
		b.say("pods         %-8s %d pods Running after %.2f s, gone after %.2f s", c.what, deployed, running.Seconds(), gone.Seconds())
	}
	return nil
}

// onTheWire deploys, and for a headless cluster says how many bytes its hub received and sent for each pod, until all is quiet.
func (b *bench) onTheWire(ctx context.Context, c *control) (running, gone time.Duration, err error) {
	if c.peer != gitcd {
		return c.deploy(ctx, deployed)
	}
	w, err := b.tap(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	receivedBefore, sentBefore, err := w.bytes(ctx)
	if err != nil {
		return 0, 0, err
	}
	if running, gone, err = c.deploy(ctx, deployed); err != nil {
		return 0, 0, err
	}
	select {
	case <-ctx.Done():
	case <-time.After(repose): // what is handed in last
	}
	received, sent, err := w.bytes(ctx)
	if err != nil {
		return 0, 0, err
	}
	b.table.add("pods.received", c.peer, (received-receivedBefore)/deployed)
	b.table.add("pods.sent", c.peer, (sent-sentBefore)/deployed)
	return running, gone, nil
}

// sandbox runs a command of the sandbox, and shows what it says.
func (b *bench) sandbox(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "sandbox"), append(args, "--bin-dir", b.bin)...)
	out, err := os.CreateTemp(b.dir, "sandbox-*.log")
	if err != nil {
		return fmt.Errorf("pods: %w", err)
	}
	defer func() { _ = out.Close() }()
	b.say("sandbox %v", args)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		tail := make([]byte, 2000)
		end, _ := out.Seek(0, io.SeekEnd)
		n, _ := out.ReadAt(tail, max(0, end-int64(len(tail))))
		return fmt.Errorf("pods: sandbox %v: %w; run make quickstart and make build-peers first:\n%s", args, err, tail[:n])
	}
	return nil
}

func connect(peer, what, kubeconfig string) (*control, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("pods: reach the %s cluster: %w", what, err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("pods: reach the %s cluster: %w", what, err)
	}
	return &control{peer: peer, what: what, client: client}, nil
}

// deploy creates a Deployment and deletes it, and returns how long it takes until all its pods run, and are gone.
func (c *control) deploy(ctx context.Context, replicas int32) (running, gone time.Duration, err error) {
	fault := func(doing string, err error) error {
		return fmt.Errorf("pods: %s on the %s cluster: %w", doing, c.what, err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: podsNamespace}}
	if _, err := c.client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return 0, 0, fault("create the namespace", err)
	}
	if err := c.serviceAccount(ctx); err != nil {
		return 0, 0, fault("wait for the namespace's service account", err)
	}
	ctx, cancel := context.WithTimeout(ctx, podsPatience)
	defer cancel()
	list, err := c.client.CoreV1().Pods(podsNamespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) > 0 {
		return 0, 0, fault(fmt.Sprintf("find no pods (there are %d)", len(list.Items)), err)
	}
	events, err := c.client.CoreV1().Pods(podsNamespace).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return 0, 0, fault("watch pods", err)
	}
	defer events.Stop()
	began := time.Now()
	d := deployment(replicas)
	if _, err := c.client.AppsV1().Deployments(podsNamespace).Create(ctx, d, metav1.CreateOptions{}); err != nil {
		return 0, 0, fault("create the Deployment", err)
	}
	phases := map[string]corev1.PodPhase{}
	runs := func() int {
		n := 0
		for _, phase := range phases {
			if phase == corev1.PodRunning {
				n++
			}
		}
		return n
	}
	if err := follow(ctx, events, phases, func() bool { return runs() == int(replicas) }); err != nil {
		return 0, 0, fault(fmt.Sprintf("wait for %d pods (%d run, there are %d)", replicas, runs(), len(phases)), err)
	}
	running = time.Since(began)
	if len(phases) != int(replicas) {
		return 0, 0, fault("count pods", fmt.Errorf("there are %d, not %d", len(phases), replicas))
	}
	began = time.Now()
	background := metav1.DeletePropagationBackground
	if err := c.client.AppsV1().Deployments(podsNamespace).Delete(ctx, d.Name, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		return 0, 0, fault("delete the Deployment", err)
	}
	if err := follow(ctx, events, phases, func() bool { return len(phases) == 0 }); err != nil {
		return 0, 0, fault(fmt.Sprintf("wait until no pod is left (there are %d)", len(phases)), err)
	}
	return running, time.Since(began), nil
}

// serviceAccount waits until pods can be created in the namespace.
func (c *control) serviceAccount(ctx context.Context) error {
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		_, err := c.client.CoreV1().ServiceAccounts(podsNamespace).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
}

// follow reads what happens to pods until it is enough.
func follow(ctx context.Context, events watch.Interface, phases map[string]corev1.PodPhase, enough func() bool) error {
	for !enough() {
		select {
		case e, ok := <-events.ResultChan():
			pod, is := e.Object.(*corev1.Pod)
			switch {
			case !ok:
				return errors.New("the watch ended")
			case !is:
				return fmt.Errorf("the watch told of %v", e.Object)
			case e.Type == watch.Deleted:
				delete(phases, pod.Name)
			default:
				phases[pod.Name] = pod.Status.Phase
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func deployment(replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": podsNamespace}
	grace := int64(0)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: podsNamespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: &grace,
					Containers:                    []corev1.Container{{Name: "pause", Image: sandbox.ImagePause, ImagePullPolicy: corev1.PullNever}},
				},
			},
		},
	}
}
