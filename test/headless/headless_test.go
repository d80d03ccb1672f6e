// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headless

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

const secretText = "plain-text-that-must-not-reach-git"

// TestHeadlessCluster walks a Deployment through four branches, cuts and kills
// what it can, and looks at what Git has of it.
func TestHeadlessCluster(t *testing.T) {
	c := newCluster(t)
	front := c.newHeaven(t, "apiserver")
	kcm := c.newHeaven(t, "kube-controller-manager")
	scheduler := c.newHeaven(t, "kube-scheduler")
	pki := c.path("pki")
	kcm.component(t, "kube-controller-manager", "system:kube-controller-manager",
		"--use-service-account-credentials", "--service-account-private-key-file="+pki+"/sa.key", "--root-ca-file="+pki+"/ca.crt",
		"--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16", "--service-cluster-ip-range=10.96.0.0/16")
	scheduler.component(t, "kube-scheduler", "system:kube-scheduler")

	t.Run("pods are made and bound through Git", func(t *testing.T) { pods(t, front, "web", 3) })
	t.Run("a secret stays out of Git", func(t *testing.T) { secrets(t, front, kcm) })
	t.Run("a heaven goes on while the hub is gone", func(t *testing.T) { hubGone(t, c, front) })
	t.Run("kill -9 loses nothing", func(t *testing.T) { killed(t, front, kcm) })
	t.Run("stock Git reads the hub", func(t *testing.T) { stockGit(t, c) })
	t.Run("a second writer fences the first", func(t *testing.T) { fenced(t, scheduler) })
	t.Run("all heavens have one tree", func(t *testing.T) { oneTree(t, c, front, kcm, scheduler) })
}

// pods creates a Deployment at the front door and waits until the scheduler,
// two branches further, has bound its pods.
func pods(t *testing.T, front *heaven, name string, replicas int32) {
	t.Helper()
	ctx := t.Context()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	if _, err := front.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	eventually(t, "node with room", func(ctx context.Context) error {
		n, err := front.client.CoreV1().Nodes().Get(ctx, "n1", metav1.GetOptions{})
		if err != nil {
			return err
		}
		n.Status.Capacity = corev1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("8Gi"), "pods": resource.MustParse("100")}
		n.Status.Allocatable = n.Status.Capacity
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()}}
		if _, err = front.client.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{}); err != nil {
			return err
		}
		if len(n.Spec.Taints) > 0 {
			return fmt.Errorf("tainted: %v", n.Spec.Taints)
		}
		return nil
	})
	labels := map[string]string{"app": name}
	start := time.Now()
	_, err := front.client.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(replicas),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "registry.k8s.io/pause:3.10"}}},
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "bound pods", func(ctx context.Context) error {
		list, err := front.client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=" + name})
		if err != nil {
			return err
		}
		if len(list.Items) != int(replicas) {
			return fmt.Errorf("%d pods of %d", len(list.Items), replicas)
		}
		for i := range list.Items {
			if list.Items[i].Spec.NodeName != "n1" {
				return fmt.Errorf("%s is not bound", list.Items[i].Name)
			}
		}
		return nil
	})
	t.Logf("%d pods made and bound, seen at the front door, after %s", replicas, time.Since(start).Round(time.Millisecond))
}

// secrets creates a Secret, reads it in another heaven, and looks for it in every object of the hub.
func secrets(t *testing.T, front, other *heaven) {
	t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"k": secretText}}
	if _, err := front.client.CoreV1().Secrets("default").Create(t.Context(), s, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "secret in the other heaven", func(ctx context.Context) error {
		got, err := other.client.CoreV1().Secrets("default").Get(ctx, "s", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if string(got.Data["k"]) != secretText {
			return fmt.Errorf("have %q", got.Data["k"])
		}
		return nil
	})
	clone := front.c.clone(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "git cat-file --batch --batch-all-objects --unordered --buffer")
	cmd.Dir = clone
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(out), "k8s:enc:secretbox:") {
		t.Error("no encrypted value in the clone: the search below proves nothing")
	}
	for _, needle := range []string{secretText, "cGxhaW4tdGV4dC10aGF0LW11c3Qtbm90LXJlYWNoLWdpd"} {
		if strings.Contains(string(out), needle) {
			t.Errorf("an object of the hub contains %q", needle)
		}
	}
}

// clone clones the hub with stock Git.
func (c *cluster) clone(t *testing.T) string {
	t.Helper()
	dir := t.TempDir() + "/clone.git"
	pki := c.path("pki")
	t.Setenv("GIT_SSL_CAINFO", pki+"/ca.crt")
	git(t, t.TempDir(), "-c", "http.sslCert="+pki+"/hub-admin.crt", "-c", "http.sslKey="+pki+"/hub-admin.key", "clone", "-q", "--mirror", "https://"+c.hubAddr+"/repo.git", dir)
	return dir
}

// hubGone kills the hub, writes, and starts it again.
func hubGone(t *testing.T, c *cluster, front *heaven) {
	t.Helper()
	c.hub.kill()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "while-cut-off"}}
	if _, err := front.client.CoreV1().ConfigMaps("default").Create(t.Context(), cm, metav1.CreateOptions{}); err != nil {
		t.Fatalf("a write without the hub: %v", err)
	}
	c.startHub(t)
	eventually(t, "the write in main", func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, "git", "-C", c.path("hub.git"), "cat-file", "-e", "main:registry/configmaps/default/while-cut-off")
		return cmd.Run()
	})
}

// killed kills a gitcd between acknowledged writes.
func killed(t *testing.T, front, other *heaven) {
	t.Helper()
	for round := range 3 {
		name := fmt.Sprintf("acknowledged-%d", round)
		cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := front.client.CoreV1().ConfigMaps("default").Create(t.Context(), cm, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		front.gitcd.kill()
		front.startGitcd(t)
		for _, h := range []*heaven{front, other} {
			eventually(t, name+" in "+h.name, func(ctx context.Context) error {
				_, err := h.client.CoreV1().ConfigMaps("default").Get(ctx, name, metav1.GetOptions{})
				return err
			})
		}
	}
}

func stockGit(t *testing.T, c *cluster) {
	t.Helper()
	clone := c.clone(t)
	git(t, clone, "fsck", "--strict")
	authors := git(t, clone, "log", "--format=%an", "main")
	for _, who := range []string{"apiserver", "kube-controller-manager", "kube-scheduler"} {
		if !strings.Contains(authors, who+"\n") {
			t.Errorf("no commit by %s in main", who)
		}
	}
	if log := git(t, clone, "log", "--format=%an", "main", "--", "registry/pods"); !strings.Contains(log, "kube-scheduler") {
		t.Error("the history of pods does not name the scheduler")
	}
}

// oneTree waits until main and all branches have the same tree.
func oneTree(t *testing.T, c *cluster, heavens ...*heaven) {
	t.Helper()
	eventually(t, "one tree", func(ctx context.Context) error {
		main, err := tree(ctx, c.path("hub.git"), "main")
		if err != nil {
			return err
		}
		for _, h := range heavens {
			own, err := tree(ctx, h.path("repository.git"), h.branch)
			if err != nil {
				return err
			}
			if own != main {
				return fmt.Errorf("%s has the tree %s, main %s", h.name, own, main)
			}
		}
		return nil
	})
	for _, h := range heavens {
		text, err := get(t.Context(), "http://"+h.statusListen+"/status")
		if err != nil || !strings.Contains(text, `"connected": true`) {
			t.Errorf("status of %s: %v %s", h.name, err, text)
		}
	}
}

// tree returns the tree of a branch, as stock Git sees it beside a running gitcd.
func tree(ctx context.Context, dir, branch string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", branch+"^{tree}").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// fenced takes the branch of a heaven from another directory. The first writer
// ends, and stays away when it is started again; the second goes on.
func fenced(t *testing.T, first *heaven) {
	t.Helper()
	second := &heaven{c: first.c, name: first.name, branch: first.branch, port: first.port, statusListen: fmt.Sprintf("127.0.0.1:%d", testbin.Port(t)), suffix: "-2"}
	second.startGitcd(t)
	exit := func(p *process) int {
		done := make(chan struct{})
		go func() { _ = p.cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatalf("the first writer goes on after %s", patience)
		}
		return p.cmd.ProcessState.ExitCode()
	}
	// It learns of its loss when it pushes; a lease or an event of the scheduler does that, and so does this.
	sm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "written-by-the-first"}}
	if _, err := first.client.CoreV1().ConfigMaps("default").Create(t.Context(), sm, metav1.CreateOptions{}); err != nil {
		t.Logf("the first writer has ended already: %v", err)
	}
	if code := exit(first.gitcd); code != 3 {
		t.Errorf("the first writer ended with exit code %d, want 3", code)
	}
	again := first.c.start(t, first.name+"-again", "gitcd", "serve", "--config", first.path("gitcd.yaml"))
	if code := exit(again); code != 3 {
		t.Errorf("started again, it ended with exit code %d, want 3", code)
	}
	text, err := get(t.Context(), "http://"+second.statusListen+"/status")
	if err != nil || !strings.Contains(text, `"epoch": 2`) {
		t.Errorf("the second writer: %v %s", err, text)
	}
	first.gitcd, first.statusListen, first.suffix = second.gitcd, second.statusListen, second.suffix
}
