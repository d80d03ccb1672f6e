// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headless

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// TestGates runs the components with the gates that are shipped: nothing that
// they do is refused, and what they must not do is.
func TestGates(t *testing.T) {
	c := newCluster(t)
	front := c.newHeaven(t, "apiserver")
	kcm := c.newHeaven(t, "kube-controller-manager")
	scheduler := c.newHeaven(t, "kube-scheduler")
	node := c.newHeavenOf(t, "n1", "nodes/n1")
	pki := c.path("pki")
	kcm.component(t, "kube-controller-manager", "system:kube-controller-manager",
		"--use-service-account-credentials", "--service-account-private-key-file="+pki+"/sa.key", "--root-ca-file="+pki+"/ca.crt",
		"--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16", "--service-cluster-ip-range=10.96.0.0/16")
	scheduler.component(t, "kube-scheduler", "system:kube-scheduler")
	kubelet := node.as(t, "kubelet", "system:node:n1", "system:nodes")

	t.Run("nothing of a day's work is refused", func(t *testing.T) { daysWork(t, c, front, kubelet) })
	t.Run("the scheduler only schedules", func(t *testing.T) { onlySchedules(t, c, front, scheduler) })
	t.Run("a node is no administrator", func(t *testing.T) { noAdministrator(t, c, front, node) })
	t.Run("all heavens have one tree", func(t *testing.T) { oneTree(t, c, front, kcm, scheduler, node) })
}

// as returns a client of a heaven's kube-apiserver for a user.
func (h *heaven) as(t *testing.T, file, user string, groups ...string) *kubernetes.Clientset {
	t.Helper()
	h.c.ca.leaf(t, file, user, groups...)
	pki := h.c.path("pki")
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host:            fmt.Sprintf("https://127.0.0.1:%d", h.port),
		TLSClientConfig: rest.TLSClientConfig{CAFile: pki + "/ca.crt", CertFile: pki + "/" + file + ".crt", KeyFile: pki + "/" + file + ".key"},
		QPS:             -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

type quarantined struct {
	Branch, Key, Verb, Kind, Reason, State string
}

// quarantine runs gitcd quarantine as the hub's administrator.
func (c *cluster) quarantine(t *testing.T, args ...string) []byte {
	t.Helper()
	pki := c.path("pki")
	args = append(append([]string{"quarantine"}, args...), "-o", "json", "--hub", "https://"+c.hubAddr, "--ca", pki+"/ca.crt", "--cert", pki+"/hub-admin.crt", "--key", pki+"/hub-admin.key")
	out, err := exec.CommandContext(t.Context(), filepath.Join(c.bin, "gitcd"), args...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("gitcd %v: %v: %s", args, err, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	return out
}

func (c *cluster) quarantined(t *testing.T) []quarantined {
	t.Helper()
	var out []quarantined
	if err := json.Unmarshal(c.quarantine(t, "list"), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// daysWork has the components do all kinds of things.
func daysWork(t *testing.T, c *cluster, front *heaven, kubelet *kubernetes.Clientset) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); live(ctx, kubelet) }()
	defer func() { stop(); <-done }()
	const ns = "work"
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	core, apps := front.client.CoreV1(), front.client.AppsV1()
	must(core.Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}))
	must(core.ResourceQuotas(ns).Create(ctx, &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("50")}}}, metav1.CreateOptions{}))
	labels := map[string]string{"app": "w"}
	spec := corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "pause"}}}
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec}
	selector := &metav1.LabelSelector{MatchLabels: labels}
	must(core.Services(ns).Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "w"}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Selector: labels, Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{}))
	must(front.client.PolicyV1().PodDisruptionBudgets(ns).Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "w"}, Spec: policyv1.PodDisruptionBudgetSpec{Selector: selector, MinAvailable: new(intstr.FromInt32(1))}}, metav1.CreateOptions{}))
	must(apps.Deployments(ns).Create(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "d"}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(3)), Selector: selector, Template: template}}, metav1.CreateOptions{}))
	must(apps.StatefulSets(ns).Create(ctx, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: appsv1.StatefulSetSpec{Replicas: new(int32(2)), Selector: selector, Template: template}}, metav1.CreateOptions{}))
	must(apps.DaemonSets(ns).Create(ctx, &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "ds"}, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}}, metav1.CreateOptions{}))
	job := spec
	job.RestartPolicy = corev1.RestartPolicyNever
	must(front.client.BatchV1().Jobs(ns).Create(ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "j"}, Spec: batchv1.JobSpec{TTLSecondsAfterFinished: new(int32(0)), Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"job": "j"}}, Spec: job}}}, metav1.CreateOptions{}))
	running := func(want int) func(context.Context) error {
		return func(ctx context.Context) error {
			list, err := core.Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=w"})
			if err != nil {
				return err
			}
			n := len(slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil }))
			if n != want {
				return fmt.Errorf("%d pods run, not %d; quarantine: %v", n, want, c.quarantined(t))
			}
			return nil
		}
	}
	eventually(t, "running pods", running(6))
	must(nil, core.Pods(ns).EvictV1(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "s-0", Namespace: ns}}))
	must(apps.Deployments(ns).Patch(ctx, "d", types.MergePatchType, []byte(`{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":1}}}}`), metav1.PatchOptions{}))
	must(apps.Deployments(ns).Patch(ctx, "d", types.MergePatchType, []byte(`{"spec":{"replicas":2}}`), metav1.PatchOptions{}))
	eventually(t, "running pods after a rollout", running(5))
	customs(t, front, kubelet, ns)
	volumes(t, front, ns)
	must(nil, core.Namespaces().Delete(ctx, ns, metav1.DeleteOptions{}))
	eventually(t, "the end of the namespace", func(ctx context.Context) error {
		list, err := core.Namespaces().List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + ns})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%+v; quarantine: %v", list.Items[0].Status, c.quarantined(t))
		}
		return err
	})
	if q := c.quarantined(t); len(q) != 0 {
		t.Errorf("in quarantine: %+v", q)
	}
	clone := c.clone(t)
	if text := git(t, clone, "for-each-ref", "refs/heads/quarantine"); text != "" {
		t.Errorf("something was refused for a while: %s", git(t, clone, "log", "--stat", "--format=%s", strings.Fields(text)[2], "--", "records"))
	}
}

// customs makes a definition and an instance, and deletes the definition: all API servers then clean up.
func customs(t *testing.T, front *heaven, elsewhere *kubernetes.Clientset, ns string) {
	t.Helper()
	ctx := t.Context()
	const definitions, widgets = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "/apis/example.org/v1/namespaces/"
	post := func(path, body string) {
		t.Helper()
		eventually(t, "post to "+path, func(ctx context.Context) error {
			return front.client.RESTClient().Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body([]byte(body)).Do(ctx).Error()
		})
	}
	post(definitions, `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.org"},"spec":{"group":"example.org","scope":"Namespaced",
"names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`)
	post(widgets+ns+"/widgets", `{"apiVersion":"example.org/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"size":1}}`)
	eventually(t, "the definition at the node", func(ctx context.Context) error {
		return elsewhere.RESTClient().Get().AbsPath("/apis/example.org/v1").Do(ctx).Error()
	})
	if err := front.client.RESTClient().Delete().AbsPath(definitions + "/widgets.example.org").Do(ctx).Error(); err != nil {
		t.Fatal(err)
	}
	for _, client := range []*kubernetes.Clientset{front.client, elsewhere} {
		eventually(t, "the end of the definition", func(ctx context.Context) error {
			err := client.RESTClient().Get().AbsPath("/apis/example.org/v1").Do(ctx).Error()
			if err == nil {
				return errors.New("it is still served")
			}
			return nil
		})
	}
}

// volumes binds a claim to a volume.
func volumes(t *testing.T, front *heaven, ns string) {
	t.Helper()
	ctx, core := t.Context(), front.client.CoreV1()
	size := corev1.ResourceList{"storage": resource.MustParse("1Gi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	_, err := core.PersistentVolumes().Create(ctx, &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v"}, Spec: corev1.PersistentVolumeSpec{
		Capacity: size, AccessModes: modes, StorageClassName: "by-hand", PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/tmp"}},
	}}, metav1.CreateOptions{})
	if err == nil {
		_, err = core.PersistentVolumeClaims(ns).Create(ctx, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: modes, StorageClassName: new("by-hand"), Resources: corev1.VolumeResourceRequirements{Requests: size},
		}}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a bound claim", func(ctx context.Context) error {
		claim, err := core.PersistentVolumeClaims(ns).Get(ctx, "c", metav1.GetOptions{})
		if err == nil && claim.Status.Phase != corev1.ClaimBound {
			err = fmt.Errorf("it is %s", claim.Status.Phase)
		}
		return err
	})
}

// live does what a kubelet does: it registers, says that it lives, starts
// pods, ends Jobs, and takes away pods that are deleted.
func live(ctx context.Context, kubelet *kubernetes.Clientset) {
	const name = "n1"
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	leases := kubelet.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	for ctx.Err() == nil {
		if _, err := kubelet.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}}}, metav1.CreateOptions{}); err == nil {
			_, _ = leases.Create(ctx, &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: new(name), RenewTime: new(metav1.NowMicro())}}, metav1.CreateOptions{})
		}
		if n, err := kubelet.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{}); err == nil {
			n.Status.Capacity = corev1.ResourceList{"cpu": resource.MustParse("8"), "memory": resource.MustParse("8Gi"), "pods": resource.MustParse("100")}
			n.Status.Allocatable = n.Status.Capacity
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: n.CreationTimestamp}}
			_, _ = kubelet.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{}) // the next round tries again
		}
		if list, err := kubelet.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + name}); err == nil {
			for i := range list.Items {
				care(ctx, kubelet, &list.Items[i])
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func care(ctx context.Context, kubelet *kubernetes.Clientset, p *corev1.Pod) {
	pods := kubelet.CoreV1().Pods(p.Namespace)
	switch {
	case p.DeletionTimestamp != nil:
		_ = pods.Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(p.UID))})
		return
	case p.Labels["job"] != "" && p.Status.Phase == corev1.PodRunning:
		p.Status.Phase = corev1.PodSucceeded
	case p.Status.Phase == corev1.PodPending:
		p.Status.Phase, p.Status.StartTime = corev1.PodRunning, new(metav1.Now())
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()})
		p.Status.PodIP = "10.244.0.9"
		p.Status.PodIPs = []corev1.PodIP{{IP: p.Status.PodIP}}
	default:
		return
	}
	_, _ = pods.UpdateStatus(ctx, p, metav1.UpdateOptions{}) // the next round tries again
}

// onlySchedules changes a ConfigMap beside the scheduler, as somebody who has
// taken it over would: the change stays out, until it is approved.
func onlySchedules(t *testing.T, c *cluster, front, scheduler *heaven) {
	t.Helper()
	ctx := t.Context()
	const key = "/registry/configmaps/default/settings"
	settings := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"a": "1"}}
	if _, err := front.client.CoreV1().ConfigMaps("default").Create(ctx, settings, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	value := func(h *heaven, want string) {
		t.Helper()
		eventually(t, h.name+" has a="+want, func(ctx context.Context) error {
			got, err := h.client.CoreV1().ConfigMaps("default").Get(ctx, "settings", metav1.GetOptions{})
			if err == nil && got.Data["a"] != want {
				err = fmt.Errorf("a=%s", got.Data["a"])
			}
			return err
		})
	}
	value(scheduler, "1")
	if _, err := scheduler.client.CoreV1().ConfigMaps("default").Patch(ctx, "settings", types.MergePatchType, []byte(`{"data":{"a":"2"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change in quarantine", func(context.Context) error {
		q := c.quarantined(t)
		if len(q) != 1 || q[0].Key != key || q[0].Branch != "heavens/kube-scheduler" || q[0].Reason != "heavens/kube-scheduler may not change field .data.a (gate kube-scheduler)" {
			return fmt.Errorf("%+v", q)
		}
		return nil
	})
	value(scheduler, "1")
	value(front, "1")
	if shown := string(c.quarantine(t, "show", "heavens/kube-scheduler", key)); !strings.Contains(shown, `"a": "2"`) {
		t.Errorf("show prints %s", shown)
	}
	c.quarantine(t, "approve", "heavens/kube-scheduler", key, "--reason", "it was me")
	value(front, "2")
	value(scheduler, "2")
	if q := c.quarantined(t); len(q) != 0 {
		t.Errorf("in quarantine: %+v", q)
	}
	if log := git(t, c.clone(t), "log", "-1", "--format=%an %B", "main", "--", "registry/configmaps/default/settings"); !strings.HasPrefix(log, "hub-admin") || !strings.Contains(log, "Reason: it was me") {
		t.Errorf("the approval reads %q", log)
	}
}

// noAdministrator writes beside a node's kubelet as an administrator.
func noAdministrator(t *testing.T, c *cluster, front, node *heaven) {
	t.Helper()
	ctx := t.Context()
	own := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "own-the-cluster"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "system:node:n1"}},
	}
	if _, err := node.client.RbacV1().ClusterRoleBindings().Create(ctx, own, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the binding taken back", func(ctx context.Context) error {
		list, err := node.client.RbacV1().ClusterRoleBindings().List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=own-the-cluster"})
		if err == nil && len(list.Items) > 0 {
			err = errors.New("it is still there")
		}
		return err
	})
	q := c.quarantined(t)
	if len(q) != 1 || q[0].Key != "/registry/clusterrolebindings/own-the-cluster" || q[0].Reason != "nodes/n1 may not create it (gate nodes)" {
		t.Errorf("in quarantine: %+v", q)
	}
	if list, err := front.client.RbacV1().ClusterRoleBindings().List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=own-the-cluster"}); err != nil || len(list.Items) > 0 {
		t.Errorf("the front door has it: %v", err)
	}
	c.quarantine(t, "reject", "nodes/n1", "--all")
}
