// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stderr = &stderr
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "XDG_CACHE_HOME="+home, "KUBECONFIG=/dev/null",
		"CLUSTERCTL_DISABLE_VERSIONCHECK=true", "KUSTOMIZE="+testbin.Path(t, "kustomize"), "HTTPS_PROXY=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

func objects(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	dec := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := dec.Decode(o); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(o.Object) > 0 {
			all = append(all, o)
		}
	}
}

func TestReleaseIsAClusterctlRepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, "../hack/release.sh", "v0.1.7", dir)
	clusterctl := func(args ...string) string {
		return run(t, testbin.Path(t, "clusterctl"), append([]string{"--config", filepath.Join(dir, "clusterctl.yaml")}, args...)...)
	}
	for _, p := range []struct{ flag, name, namespace, providers string }{
		{"--control-plane", "headless", "headless-control-plane-system", "control-plane"},
		{"--bootstrap", "headless", "headless-bootstrap-system", "bootstrap"},
		{"--infrastructure", "gitbacked", "gitbacked-system", "infrastructure"},
	} {
		t.Run(p.providers, func(t *testing.T) {
			checkComponents(t, objects(t, clusterctl("generate", "provider", p.flag, p.name)), p.namespace, p.providers)
		})
	}
	if core := clusterctl("generate", "provider", "--core", "cluster-api"); strings.Contains(core, "k8s-staging") || strings.Contains(core, "imagePullPolicy: Always") {
		t.Error("core still names its staging image, or always pulls it")
	}
	for flavour, kinds := range map[string][]string{
		"": {"Cluster", "GitBackedCluster", "HeadlessControlPlane", "MachineDeployment", "GitBackedMachineTemplate", "HeadlessConfigTemplate"},
		"topology": {
			"Cluster", "ClusterClass", "GitBackedClusterTemplate", "HeadlessControlPlaneTemplate", "GitBackedMachineTemplate", "HeadlessConfigTemplate",
		},
	} {
		t.Run("flavour "+flavour, func(t *testing.T) {
			checkClusterTemplate(t, kinds, objects(t, clusterctl("generate", "cluster", "blue", "-f", flavour, "-i", "gitbacked:v0.1.7", "-n", "colours",
				"--kubernetes-version", "v1.36.3", "--control-plane-machine-count", "3", "--worker-machine-count", "2")))
		})
	}
}

func checkComponents(t *testing.T, all []*unstructured.Unstructured, namespace, providers string) {
	t.Helper()
	count := map[string]int{}
	for _, o := range all {
		count[o.GetKind()]++
		id := o.GetKind() + " " + o.GetName()
		switch o.GetKind() {
		case "CustomResourceDefinition":
		case "Namespace":
			if o.GetName() != namespace {
				t.Errorf("%s: want %s", id, namespace)
			}
		case "ClusterRole", "ClusterRoleBinding":
			// clusterctl delete removes only those that begin like this.
			if !strings.HasPrefix(o.GetName(), namespace+"-") {
				t.Errorf("%s: its name does not begin with %s-", id, namespace)
			}
			checkRules(t, id, o)
		case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
			checkWebhooks(t, id, o, namespace)
		case "Deployment":
			checkManager(t, o, providers)
		default:
			if o.GetNamespace() != namespace {
				t.Errorf("%s: namespace is %q", id, o.GetNamespace())
			}
		}
	}
	for kind, want := range map[string]int{"Namespace": 1, "Deployment": 1, "Service": 1, "Certificate": 1, "Issuer": 1, "ValidatingWebhookConfiguration": 1} {
		if count[kind] != want {
			t.Errorf("%d of %s, want %d", count[kind], kind, want)
		}
	}
}

func checkRules(t *testing.T, id string, role *unstructured.Unstructured) {
	t.Helper()
	rules, _, _ := unstructured.NestedSlice(role.Object, "rules")
	for _, r := range rules {
		rule, _ := r.(map[string]any)
		for _, f := range []string{"apiGroups", "resources", "verbs"} {
			values, _, _ := unstructured.NestedStringSlice(rule, f)
			if slices.Contains(values, "*") {
				t.Errorf("%s: grants * in %s", id, f)
			}
		}
	}
}

func checkWebhooks(t *testing.T, id string, o *unstructured.Unstructured, namespace string) {
	t.Helper()
	if ca := o.GetAnnotations()["cert-manager.io/inject-ca-from"]; !strings.HasPrefix(ca, namespace+"/") {
		t.Errorf("%s: CA is injected from %q", id, ca)
	}
	hooks, _, _ := unstructured.NestedSlice(o.Object, "webhooks")
	for _, h := range hooks {
		hook, _ := h.(map[string]any)
		ns, _, _ := unstructured.NestedString(hook, "clientConfig", "service", "namespace")
		name, _, _ := unstructured.NestedString(hook, "clientConfig", "service", "name")
		if ns != namespace || !strings.HasSuffix(name, "-webhook-service") || name == "webhook-service" {
			t.Errorf("%s: calls Service %s/%s", id, ns, name)
		}
	}
}

func checkManager(t *testing.T, o *unstructured.Unstructured, providers string) {
	t.Helper()
	containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
	c, _ := containers[0].(map[string]any)
	args, _, _ := unstructured.NestedStringSlice(c, "args")
	if c["name"] != "manager" || c["image"] != "ghcr.io/trishanku-org/headless-manager:v0.1.7" || !slices.Contains(args, "--providers="+providers) {
		t.Errorf("manager is %v %v %v", c["name"], c["image"], args)
	}
}

func checkClusterTemplate(t *testing.T, want []string, all []*unstructured.Unstructured) {
	t.Helper()
	crds := definitions(t)
	var kinds []string
	for _, o := range all {
		kinds = append(kinds, o.GetKind())
		if o.GetNamespace() != "colours" {
			t.Errorf("%s: namespace is %q", o.GetKind(), o.GetNamespace())
		}
		crd := crds[o.GetKind()]
		if crd == nil {
			continue
		}
		before := o.DeepCopy()
		if errs := newAPIServer(t, crd).admit(t, nil, o.Object); len(errs) > 0 {
			t.Errorf("%s: %v", o.GetKind(), errs.ToAggregate())
		}
		for _, path := range []string{"version", "components", "merge", "storage", "repository", "template"} {
			_, was, _ := unstructured.NestedFieldNoCopy(before.Object, "spec", path)
			if _, is, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", path); was && !is {
				t.Errorf("%s: spec.%s is not in the schema", o.GetKind(), path)
			}
		}
	}
	if slices.Sort(kinds); !slices.Equal(kinds, sorted(want)) {
		t.Errorf("kinds are %v, want %v", kinds, want)
	}
}

func sorted(s []string) []string { slices.Sort(s); return s }
