// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package headless

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

const (
	machinesGroup = "/apis/machine.sapcloud.io/v1alpha1/namespaces/"
	machineUser   = "headless:machine-controller"
)

// TestMachines runs gardener's machine-controller-manager and its machine
// controller beside a heaven of their own with the gate that is shipped:
// nothing that they do is refused, and what they must not do is.
func TestMachines(t *testing.T) {
	c := newCluster(t)
	testbin.Dir(t, "machine-controller", "machine-controller-manager")
	front := c.newHeaven(t, "apiserver")
	machines := c.newHeaven(t, "machine-controller")
	definitions(t, front, machines)

	t.Run("with nodes", func(t *testing.T) { withNodes(t, c, front, machines) })
	t.Run("without nodes", func(t *testing.T) { withoutNodes(t, c, front, machines) })
	t.Run("all heavens have one tree", func(t *testing.T) { oneTree(t, c, front, machines) })
}

// withNodes scales and rolls machines that have nodes, which are drained and removed.
func withNodes(t *testing.T, c *cluster, front, machines *heaven) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	p := newPool(t, c, front, machines, "machines", true)
	go func() { defer close(done); kubelets(ctx, front.client, p.dir) }()
	defer func() { stop(); <-done }()

	p.patch(t, "machinedeployments/pool", `{"spec":{"replicas":2}}`)
	for _, m := range p.has(t, 2, "Running", "first") {
		p.joined(t, m)
	}
	occupy(t, front)
	p.class(t, "second")
	p.patch(t, "machinedeployments/pool", `{"spec":{"template":{"spec":{"class":{"name":"second"}}}}}`)
	list := p.has(t, 2, "Running", "second")
	nodes(t, front, list)
	p.gone(t, "first")

	victim := list[0].Metadata.Name
	attach(t, front, victim)
	p.patch(t, "machines/"+victim, `{"metadata":{"labels":{"force-deletion":"True"},"annotations":{"machinepriority.machine.sapcloud.io":"1"}}}`)
	p.patch(t, "machinedeployments/pool", `{"spec":{"replicas":1}}`)
	list = p.has(t, 1, "Running", "second")
	nodes(t, front, list)
	if list[0].Metadata.Name == victim {
		t.Errorf("%s is left, whose priority was the lowest", victim)
	}
	if list, err := front.client.StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
		t.Errorf("%v; volumes are attached to a node that is gone: %+v", err, list.Items)
	}
	p.quiet(t)

	onlyMachines(t, p, list[0])

	p.patch(t, "machinedeployments/pool", `{"spec":{"replicas":0}}`)
	p.has(t, 0, "Running", "second")
	p.remove(t, "machinedeployments/pool")
	p.gone(t, "second")
	nodes(t, front, nil)
	p.nothingWaits(t)
	if authors := git(t, c.clone(t), "log", "--format=%an", "main", "--", "registry/machine.sapcloud.io"); !strings.Contains(authors, "machine-controller\n") {
		t.Errorf("the history of machines names %s", authors)
	}
}

// joined looks at what gardener makes of a machine's node, in main.
func (p *pool) joined(t *testing.T, m machine) {
	t.Helper()
	name := m.Metadata.Name
	if m.Spec.ProviderID != "file:///"+name {
		t.Errorf("%s has the provider ID %s", name, m.Spec.ProviderID)
	}
	eventually(t, "the node of "+name, func(ctx context.Context) error {
		n, err := p.front.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		seats := n.Status.Capacity["example.org/seats"]
		tainted := slices.ContainsFunc(n.Spec.Taints, func(x corev1.Taint) bool { return x.Key == "example.org/new" })
		if n.Labels["example.org/tier"] != "a" || n.Annotations["example.org/note"] != "b" || len(n.Finalizers) == 0 || !tainted || seats.Value() != 3 || n.Status.Capacity.Cpu().Value() != 2 {
			return fmt.Errorf("labels %v, annotations %v, finalizers %v, taints %v, capacity %v; quarantine: %+v", n.Labels, n.Annotations, n.Finalizers, n.Spec.Taints, n.Status.Capacity, p.c.quarantined(t))
		}
		return nil
	})
	data, err := os.ReadFile(filepath.Join(p.dir, name+".json"))
	if err != nil || !strings.Contains(string(data), "machine "+name+", token ") || strings.Contains(string(data), "BOOTSTRAP") {
		t.Errorf("%v: %s was made with %s", err, name, data)
	}
	eventually(t, "the end of join tokens", func(ctx context.Context) error {
		list, err := p.front.client.CoreV1().Secrets(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{FieldSelector: "type=bootstrap.kubernetes.io/token"})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%d are there; quarantine: %+v", len(list.Items), p.c.quarantined(t))
		}
		return err
	})
}

// occupy binds a pod to each node, with a budget that lets them be evicted, as kube-controller-manager counts it.
func occupy(t *testing.T, front *heaven) {
	t.Helper()
	ctx, core := t.Context(), front.client.CoreV1()
	labels := map[string]string{"app": "guest"}
	budgets := front.client.PolicyV1().PodDisruptionBudgets("default")
	budget, err := budgets.Create(ctx, &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "guests"}, Spec: policyv1.PodDisruptionBudgetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels}, MaxUnavailable: new(intstr.FromInt32(2)),
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	budget.Status = policyv1.PodDisruptionBudgetStatus{ObservedGeneration: budget.Generation, DisruptionsAllowed: 2, CurrentHealthy: 2, ExpectedPods: 2}
	if _, err := budgets.UpdateStatus(ctx, budget, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := core.ServiceAccounts("default").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	list, err := core.Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("guest-%d", i), Labels: labels},
			Spec:       corev1.PodSpec{NodeName: list.Items[i].Name, Containers: []corev1.Container{{Name: "c", Image: "pause"}}},
		}
		if _, err := core.Pods("default").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "running guests", func(ctx context.Context) error {
		list, err := core.Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=guest"})
		if err == nil && slices.ContainsFunc(list.Items, func(p corev1.Pod) bool { return p.Status.Phase != corev1.PodRunning }) {
			err = errors.New("not all run")
		}
		return err
	})
}

// nodes waits until those of some machines are all that there are, and no pod is left on others.
func nodes(t *testing.T, front *heaven, list []machine) {
	t.Helper()
	eventually(t, "the end of old nodes", func(ctx context.Context) error {
		have, err := front.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		pods, err := front.client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=guest"})
		if err == nil && (len(have.Items) != len(list) || len(pods.Items) > 0) {
			err = fmt.Errorf("%d nodes, not %d, with %d pods", len(have.Items), len(list), len(pods.Items))
		}
		return err
	})
}

// attach attaches a volume to a node, as kube-controller-manager does.
func attach(t *testing.T, front *heaven, node string) {
	t.Helper()
	_, err := front.client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType,
		[]byte(`{"status":{"volumesAttached":[{"name":"nobody/v","devicePath":""}]}}`), metav1.PatchOptions{}, "status")
	if err != nil {
		t.Fatal(err)
	}
	_, err = front.client.StorageV1().VolumeAttachments().Create(t.Context(), &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: "attached"},
		Spec:       storagev1.VolumeAttachmentSpec{Attacher: "nobody", NodeName: node, Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: new("v")}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// onlyMachines does beside gardener's programs what somebody would who has
// taken them over. It stays out of main, and their own work flows on.
func onlyMachines(t *testing.T, p *pool, m machine) {
	t.Helper()
	ctx, front, taken := t.Context(), p.front.client, p.machines.client
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := front.CoreV1().Secrets(metav1.NamespaceSystem).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "vault"}}, metav1.CreateOptions{})
	must(err)
	p.front.post(t, "/apis/apps/v1/namespaces/default/deployments", `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"pause"}]}}}}`)
	p.front.post(t, "/api/v1/namespaces/default/pods", `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"loose"},"spec":{"containers":[{"name":"c","image":"pause"}]}}`)
	eventually(t, "the pod beside the machine controller", func(ctx context.Context) error {
		_, err := taken.CoreV1().Pods("default").Get(ctx, "loose", metav1.GetOptions{})
		return err
	})
	class := machinesGroup + p.namespace + "/machineclasses/second"
	must(taken.CoreV1().Secrets(metav1.NamespaceSystem).Delete(ctx, "vault", metav1.DeleteOptions{}))
	_, err = taken.AppsV1().Deployments("default").Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"replicas":9}}`), metav1.PatchOptions{})
	must(err)
	must(taken.CoreV1().Pods("default").Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "loose"}, Target: corev1.ObjectReference{Kind: "Node", Name: m.Metadata.Name}}, metav1.CreateOptions{}))
	must(taken.RESTClient().Patch(types.MergePatchType).AbsPath(class).Body([]byte(`{"providerSpec":{"directory":"/elsewhere"}}`)).Do(ctx).Error())
	want := []string{
		"/registry/deployments/default/web heavens/machine-controller may not update this key: no rule of gate machine-controller is for it",
		"/registry/machine.sapcloud.io/machineclasses/machines/second heavens/machine-controller may not change field .providerSpec.directory (gate machine-controller)",
		"/registry/pods/default/loose heavens/machine-controller may not change field .spec.nodeName, ",
		"/registry/secrets/kube-system/vault heavens/machine-controller may not delete it (gate machine-controller)",
	}
	eventually(t, "all of it in quarantine", func(context.Context) error {
		q := p.c.quarantined(t)
		have := make([]string, 0, len(q))
		for _, x := range q {
			have = append(have, x.Key+" "+x.Reason)
		}
		if slices.Sort(have); !slices.EqualFunc(have, want, strings.HasPrefix) {
			return fmt.Errorf("have %q", have)
		}
		return nil
	})
	if shown := string(p.c.quarantine(t, "show", "heavens/machine-controller", "/registry/deployments/default/web")); !strings.Contains(shown, `"replicas": 9`) {
		t.Errorf("show prints %s", shown)
	}
	for _, client := range []*kubernetes.Clientset{front, taken} {
		eventually(t, "the old values", func(ctx context.Context) error {
			web, err := client.AppsV1().Deployments("default").Get(ctx, "web", metav1.GetOptions{})
			if err == nil && *web.Spec.Replicas != 1 {
				err = fmt.Errorf("the Deployment is %+v", web)
			}
			if err != nil {
				return err
			}
			loose, err := client.CoreV1().Pods("default").Get(ctx, "loose", metav1.GetOptions{})
			if err == nil && loose.Spec.NodeName != "" {
				err = fmt.Errorf("the pod is %+v", loose)
			}
			if err != nil {
				return err
			}
			data, err := client.RESTClient().Get().AbsPath(class).Do(ctx).Raw()
			if err == nil && strings.Contains(string(data), "/elsewhere") {
				err = fmt.Errorf("the class is %s", data)
			}
			if err != nil {
				return err
			}
			_, err = client.CoreV1().Secrets(metav1.NamespaceSystem).Get(ctx, "vault", metav1.GetOptions{})
			return err
		})
	}
	p.patch(t, "machinedeployments/pool", `{"spec":{"replicas":2}}`)
	p.has(t, 2, "Running", "second")
	p.c.quarantine(t, "reject", "heavens/machine-controller", "--all")
}

// withoutNodes has machines only: somebody else cares for nodes. It needs one Role.
func withoutNodes(t *testing.T, c *cluster, front, machines *heaven) {
	t.Helper()
	p := newPool(t, c, front, machines, "alone", false)
	p.patch(t, "machinedeployments/pool", `{"spec":{"replicas":2}}`)
	p.has(t, 2, "Available", "first")
	p.class(t, "second")
	p.patch(t, "machinedeployments/pool", `{"spec":{"template":{"spec":{"class":{"name":"second"}}}}}`)
	p.has(t, 2, "Available", "second")
	p.gone(t, "first")
	p.patch(t, "machinedeployments/pool", `{"spec":{"replicas":1}}`)
	p.has(t, 1, "Available", "second")
	p.nothingWaits(t)
}
