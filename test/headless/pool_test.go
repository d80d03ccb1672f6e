// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package headless

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// definitions makes the definitions of the pinned module.
func definitions(t *testing.T, front, elsewhere *heaven) {
	t.Helper()
	const module = "github.com/gardener/machine-controller-manager"
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module)
	cmd.Dir = "../../build/machines"
	dir, err := cmd.Output()
	if err != nil {
		t.Fatalf("find %s: %v", module, err)
	}
	files, err := filepath.Glob(strings.TrimSpace(string(dir)) + "/kubernetes/crds/*.yaml")
	if err != nil || len(files) != 4 {
		t.Fatalf("definitions of %s: %q, %v", module, files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		front.post(t, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", string(data))
	}
	for _, h := range []*heaven{front, elsewhere} {
		for _, kind := range []string{"machines", "machineclasses", "machinesets", "machinedeployments"} {
			eventually(t, kind+" at "+h.name, func(ctx context.Context) error {
				return h.client.RESTClient().Get().AbsPath(machinesGroup + "default/" + kind).Do(ctx).Error()
			})
		}
	}
}

// post creates an object of YAML.
func (h *heaven) post(t *testing.T, path, body string) {
	t.Helper()
	eventually(t, "post to "+path, func(ctx context.Context) error {
		return h.client.RESTClient().Post().AbsPath(path).SetHeader("Content-Type", "application/yaml").Body([]byte(body)).Do(ctx).Error()
	})
}

// roles makes those that docs/gates.md tells people to make.
func roles(t *testing.T, front, elsewhere *heaven, namespace string, nodes bool) {
	t.Helper()
	data, err := os.ReadFile("../../docs/gates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(data), "\n## A machine controller\n")
	blocks := strings.Split(text, "```yaml\n")
	if len(blocks) < 3 {
		t.Fatal("docs/gates.md has no two blocks of roles for a machine controller")
	}
	blocks = blocks[1:3]
	if !nodes {
		blocks = blocks[:1]
	}
	const group = "/apis/rbac.authorization.k8s.io/v1/"
	paths := map[string]string{"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings", "Role": "roles", "RoleBinding": "rolebindings"}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		for doc := range strings.SplitSeq(strings.ReplaceAll(block, "namespace: machines}", "namespace: "+namespace+"}"), "---\n") {
			kind := strings.Fields(doc)[1]
			_, in, found := strings.Cut(strings.SplitN(doc, "rules:", 2)[0], "namespace: ")
			path := group + paths[kind]
			if found {
				in, _, _ = strings.Cut(in, "}")
				path = group + "namespaces/" + in + "/" + paths[kind]
			}
			front.post(t, path, doc)
		}
	}
	eventually(t, "the binding at "+elsewhere.name, func(ctx context.Context) error {
		_, err := elsewhere.client.RbacV1().RoleBindings(namespace).Get(ctx, "machine-controller", metav1.GetOptions{})
		return err
	})
}

// pool is a MachineDeployment, and the directory that is its cloud.
type pool struct {
	c               *cluster
	front, machines *heaven
	namespace, dir  string
}

func newPool(t *testing.T, c *cluster, front, machines *heaven, namespace string, nodes bool) *pool {
	t.Helper()
	p := &pool{c: c, front: front, machines: machines, namespace: namespace, dir: c.path("cloud-" + namespace)}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := front.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	roles(t, front, machines, namespace, nodes)
	p.class(t, "first")
	front.post(t, machinesGroup+namespace+"/machinedeployments", fmt.Sprintf(`{"apiVersion":"machine.sapcloud.io/v1alpha1","kind":"MachineDeployment","metadata":{"name":"pool","namespace":%q},
"spec":{"replicas":0,"selector":{"matchLabels":{"pool":"pool"}},"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1,"maxUnavailable":0}},
"template":{"metadata":{"labels":{"pool":"pool"}},"spec":{"class":{"kind":"MachineClass","name":"first"},
"nodeTemplate":{"metadata":{"labels":{"example.org/tier":"a"},"annotations":{"example.org/note":"b"}},"spec":{"taints":[{"key":"example.org/new","value":"c","effect":"NoSchedule"}]}}}}}}`, namespace))
	target := "none"
	kubeconfig := machines.kubeconfig(t, "machine-controller", machineUser)
	if nodes {
		target = kubeconfig
	}
	for _, name := range []string{"machine-controller-manager", "machine-controller"} {
		args := []string{"--control-kubeconfig=" + kubeconfig, "--target-kubeconfig=" + target, "--namespace=" + namespace, "--address=127.0.0.1", fmt.Sprintf("--port=%d", testbin.Port(t)), "--v=3"}
		if name == "machine-controller" {
			args = append(args, "--machine-drain-timeout=3m", "--machine-safety-orphan-vms-period=1m")
		}
		process := c.start(t, name+"-"+namespace, name, args...)
		t.Cleanup(process.kill)
	}
	return p
}

// class makes a MachineClass with a Secret. Its numbers are not as gardener's types write them.
func (p *pool) class(t *testing.T, name string) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{"userData": "machine <<MACHINE_NAME>>, token <<BOOTSTRAP_TOKEN>>"}}
	if _, err := p.front.client.CoreV1().Secrets(p.namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	p.front.post(t, machinesGroup+p.namespace+"/machineclasses", fmt.Sprintf(`{"apiVersion":"machine.sapcloud.io/v1alpha1","kind":"MachineClass","metadata":{"name":%[1]q,"namespace":%[2]q},
"provider":"directory","providerSpec":{"directory":%[3]q},"secretRef":{"name":%[1]q,"namespace":%[2]q},
"nodeTemplate":{"capacity":{"cpu":"2000m","gpu":0,"memory":"2048Mi"},"virtualCapacity":{"example.org/seats":"3000m"},"instanceType":"file","region":"r","zone":"z"}}`, name, p.namespace, p.dir))
}

// patch changes an object of the pool at the front door.
func (p *pool) patch(t *testing.T, object, change string) {
	t.Helper()
	err := p.front.client.RESTClient().Patch(types.MergePatchType).AbsPath(machinesGroup + p.namespace + "/" + object).Body([]byte(change)).Do(t.Context()).Error()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *pool) remove(t *testing.T, object string) {
	t.Helper()
	if err := p.front.client.RESTClient().Delete().AbsPath(machinesGroup + p.namespace + "/" + object).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
}

type machine struct {
	Metadata metav1.ObjectMeta
	Spec     struct {
		ProviderID string
		Class      struct{ Name string }
	}
	Status struct{ CurrentStatus struct{ Phase string } }
}

// has waits until the front door sees so many machines, all in a phase and of a class.
func (p *pool) has(t *testing.T, n int, phase, class string) []machine {
	t.Helper()
	var list struct{ Items []machine }
	start := time.Now()
	within(t, 5*time.Minute, fmt.Sprintf("%d machines of %s, %s", n, class, phase), func(ctx context.Context) error {
		data, err := p.front.client.RESTClient().Get().AbsPath(machinesGroup + p.namespace + "/machines").Do(ctx).Raw()
		list.Items = nil
		if err == nil {
			err = json.Unmarshal(data, &list)
		}
		if err != nil {
			return err
		}
		state := make([]string, 0, len(list.Items))
		fit := len(list.Items) == n
		for _, m := range list.Items {
			fit = fit && m.Status.CurrentStatus.Phase == phase && m.Spec.Class.Name == class && m.Metadata.DeletionTimestamp == nil
			state = append(state, m.Metadata.Name+" "+m.Spec.Class.Name+" "+m.Status.CurrentStatus.Phase)
		}
		files, err := filepath.Glob(p.dir + "/*.json")
		if err == nil && (!fit || len(files) != n) {
			err = fmt.Errorf("%v, files %v; quarantine: %+v", state, files, p.c.quarantined(t))
		}
		return err
	})
	t.Logf("%d machines of %s, %s, seen at the front door after %s", n, class, phase, time.Since(start).Round(100*time.Millisecond))
	return list.Items
}

// gone waits until nothing of a class is left: gardener's finalizers are off it
// and its Secret. The Secret is deleted first. Deleted after the class, that
// could cross with gardener's change of its finalizers; of two changes of an
// encrypted value one is taken, and gardener's looks again after ten minutes.
func (p *pool) gone(t *testing.T, class string) {
	t.Helper()
	if err := p.front.client.CoreV1().Secrets(p.namespace).Delete(t.Context(), class, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deletion of the Secret beside the machine controller", func(ctx context.Context) error {
		s, err := p.machines.client.CoreV1().Secrets(p.namespace).Get(ctx, class, metav1.GetOptions{})
		if err == nil && s.DeletionTimestamp == nil {
			err = errors.New("it is not being deleted")
		}
		return err
	})
	p.remove(t, "machineclasses/"+class)
	within(t, 5*time.Minute, "the end of class "+class, func(ctx context.Context) error {
		if err := p.front.client.RESTClient().Get().AbsPath(machinesGroup + p.namespace + "/machineclasses/" + class).Do(ctx).Error(); err == nil {
			return errors.New("the class is there")
		}
		list, err := p.front.client.CoreV1().Secrets(p.namespace).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + class})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("its Secret is there, with finalizers %v; quarantine: %+v", list.Items[0].Finalizers, p.c.quarantined(t))
		}
		return err
	})
}

// nothingWaits fails if anything is in quarantine but what was rejected.
func (p *pool) nothingWaits(t *testing.T) {
	t.Helper()
	for _, q := range p.c.quarantined(t) {
		if q.State != "Rejected" {
			t.Errorf("in quarantine: %+v", q)
		}
	}
}

// quiet fails if anything is in quarantine, or ever was.
func (p *pool) quiet(t *testing.T) {
	t.Helper()
	if q := p.c.quarantined(t); len(q) != 0 {
		t.Errorf("in quarantine: %+v", q)
	}
	clone := p.c.clone(t)
	if text := git(t, clone, "for-each-ref", "refs/heads/quarantine"); text != "" {
		t.Errorf("something was refused for a while: %s", git(t, clone, "log", "--stat=200", "--format=%s", strings.Fields(text)[2], "--", "records"))
	}
}

// kubelets does what those on the machines do: a Node for each file, and pods that are deleted end.
func kubelets(ctx context.Context, client *kubernetes.Clientset, dir string) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		files, _ := filepath.Glob(dir + "/*.json")
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			n, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				n, err = client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{ProviderID: "file:///" + name}}, metav1.CreateOptions{})
			}
			if err == nil && !slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady }) {
				if n.Status.Capacity == nil {
					n.Status.Capacity = corev1.ResourceList{}
				}
				n.Status.Capacity["cpu"], n.Status.Capacity["pods"] = resource.MustParse("2"), resource.MustParse("100")
				n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()})
				_, _ = client.CoreV1().Nodes().UpdateStatus(ctx, n, metav1.UpdateOptions{}) // the next round tries again
			}
			if list, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + name}); err == nil {
				for i := range list.Items {
					care(ctx, client, &list.Items[i])
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
