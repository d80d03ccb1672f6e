// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

func read[T any](t *testing.T, text string) *T {
	t.Helper()
	object := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), object); err != nil {
		t.Fatal(err)
	}
	return object
}

func expect(t *testing.T, errs field.ErrorList, want string) {
	t.Helper()
	err := errs.ToAggregate()
	switch {
	case want == "" && err != nil:
		t.Fatalf("refused: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Fatalf("got %v\nwant an error with %q", err, want)
	}
}

// stable checks that defaulting gives what is wanted, and the same when it is done again.
func stable[T any](t *testing.T, object, want *T, fill func(*T)) {
	t.Helper()
	for range 2 {
		fill(object)
		if d := cmp.Diff(want, object); d != "" {
			t.Fatal(d)
		}
	}
}

func TestControlPlaneDefaults(t *testing.T) {
	t.Parallel()
	got := read[controlplanev1.HeadlessControlPlane](t, `
spec:
  version: 1.36.3
  merge: {storage: {persistentVolumeClaim: {storageClassName: fast}}}
  components: {additional: [{name: karpenter, template: {spec: {containers: [{name: k, image: k}]}}}]}`)
	want := read[controlplanev1.HeadlessControlPlane](t, `
spec:
  version: v1.36.3
  storage: {persistentVolumeClaim: {size: 2Gi}}
  encryption: {provider: secretbox}
  merge: {service: {type: NodePort, port: 8443}, storage: {persistentVolumeClaim: {storageClassName: fast, size: 5Gi}}}
  components:
    apiServer: {service: {type: ClusterIP, port: 6443}}
    controllerManager: {mode: Available}
    scheduler: {mode: Available}
    additional:
    - name: karpenter
      mode: Available
      kubeconfig: {path: /etc/trishanku/kubeconfig, user: "headless:karpenter"}
      template: {spec: {containers: [{name: k, image: k}]}}`)
	stable(t, got, want, controlPlanes.Default)
}

func TestControlPlaneRules(t *testing.T) {
	t.Parallel()
	pod := ", template: {spec: {containers: [{name: x, image: img}]}}"
	for _, c := range []struct{ name, spec, want string }{
		{"least", "version: v1.36.3", ""},
		{"impossible version", "version: v1.36", "spec.version: Invalid value: \"v1.36\": is no version; write all three parts"},
		{"moved here with its endpoint", "version: v1.36.3, controlPlaneEndpoint: {host: 10.0.0.1, port: 6443}", ""},
		{"half an endpoint", "version: v1.36.3, controlPlaneEndpoint: {host: 10.0.0.1}", "spec.controlPlaneEndpoint.port"},
		{"taken name", "version: v1.36.3, components: {additional: [{name: kube-scheduler" + pod + "}]}", "spec.components.additional[0].name"},
		{"own container name", "version: v1.36.3, components: {additional: [{name: a, template: {spec: {containers: [{name: gitcd, image: img}]}}}]}", "additional[0].template.spec.containers[0].name"},
		{"plaintext store", "version: v1.36.3, components: {apiServer: {extraArgs: [{name: encryption-provider-config, value: x}]}}", "spec.components.apiServer.extraArgs[0].name: Forbidden"},
		{"two leaders", "version: v1.36.3, components: {controllerManager: {extraArgs: [{name: leader-elect, value: \"true\"}]}}", "components.controllerManager.extraArgs[0]"},
		{"second kubeconfig", "version: v1.36.3, components: {scheduler: {extraArgs: [{name: kubeconfig, value: x}]}}", "components.scheduler.extraArgs[0]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			object := read[controlplanev1.HeadlessControlPlane](t, "spec: {"+c.spec+"}")
			controlPlanes.Default(object)
			expect(t, controlPlanes.Validate(object), c.want)
		})
	}
}

func TestControlPlaneChanges(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, before, after, want string }{
		{"next minor", "version: v1.35.0", "version: v1.36.3", ""},
		{"skipped minor", "version: v1.34.0", "version: v1.36.3", "spec.version"},
		{"other encryption", "version: v1.36.3", "version: v1.36.3, encryption: {provider: aescbc}", "encrypted with secretbox"},
		{"hub's volume shrinks", "version: v1.36.3", "version: v1.36.3, merge: {storage: {persistentVolumeClaim: {size: 1Gi}}}", "spec.merge.storage.persistentVolumeClaim.size"},
		{"other endpoint", "version: v1.36.3, controlPlaneEndpoint: {host: a, port: 1}", "version: v1.36.3, controlPlaneEndpoint: {host: b, port: 1}", ""},
		{"other repository", "version: v1.36.3, repositoryRef: {name: a}", "version: v1.36.3, repositoryRef: {name: b}", "the history is in GitRepository a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := read[controlplanev1.HeadlessControlPlane](t, "spec: {"+c.before+"}")
			after := read[controlplanev1.HeadlessControlPlane](t, "spec: {"+c.after+"}")
			controlPlanes.Default(before)
			controlPlanes.Default(after)
			expect(t, controlPlanes.Change(before, after), c.want)
		})
	}
}

func TestControlPlaneTemplate(t *testing.T) {
	t.Parallel()
	good := read[controlplanev1.HeadlessControlPlaneTemplate](t, "spec: {template: {metadata: {labels: {a: b}}, spec: {storage: {emptyDir: {}}}}}")
	expect(t, controlPlaneTemplates.Validate(good), "")
	bad := read[controlplanev1.HeadlessControlPlaneTemplate](t, "spec: {template: {metadata: {labels: {a: \"b c\"}}, spec: {storage: {}}}}")
	expect(t, controlPlaneTemplates.Validate(bad), "spec.template.metadata.labels")
	expect(t, controlPlaneTemplates.Validate(bad), "spec.template.spec.storage")
}

const scheduler = `
metadata: {name: blue-kube-scheduler}
spec:
  clusterName: blue
  branch: heavens/kube-scheduler
  version: v1.36.3
  upstream: {url: "https://blue-hub.default.svc:8443"}
  component:
    name: kube-scheduler
    kubeconfig: {user: "system:kube-scheduler"}
    template: {spec: {containers: [{name: kube-scheduler, image: registry.k8s.io/kube-scheduler:v1.36.3}]}}
`

func TestHeavenDefaults(t *testing.T) {
	t.Parallel()
	want := read[heavenv1.TrishankuHeaven](t, scheduler+`
  mode: Available
  storage: {persistentVolumeClaim: {size: 2Gi}}
  apiServer: {endpointReconciler: None, serviceCIDRs: [10.96.0.0/16], serviceAccountIssuer: "https://kubernetes.default.svc.cluster.local"}
  certificates: {clusterCA: blue-ca, frontProxyCA: blue-proxy, serviceAccount: blue-sa, gitCA: blue-git-ca, encryption: blue-encryption}
`)
	want.Spec.Upstream.MainBranch = "main"
	want.Spec.Component.Kubeconfig.Path = "/etc/trishanku/kubeconfig"
	stable(t, read[heavenv1.TrishankuHeaven](t, scheduler), want, heavens.Default)
}

func TestHeavenRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*heavenv1.TrishankuHeaven)
		want   string
	}{
		{"as it is", func(*heavenv1.TrishankuHeaven) {}, ""},
		{"another branch", func(h *heavenv1.TrishankuHeaven) { h.Spec.Branch = "heavens/other" }, "the branch is heavens/other; write other"},
		{"in the front door's place", func(h *heavenv1.TrishankuHeaven) {
			h.Spec.Branch, h.Spec.Component.Name = "heavens/apiserver", "apiserver"
		}, "is the front door's"},
		{"overlapping ranges", func(h *heavenv1.TrishankuHeaven) {
			h.Spec.APIServer.ServiceCIDRs = []string{"10.0.0.0/16", "10.1.0.0/16"}
		}, "spec.apiServer.serviceCIDRs[1]"},
		{"no room for a Service", func(h *heavenv1.TrishankuHeaven) {
			h.Name, h.Spec.APIServer.Service = strings.Repeat("a", 64), &heavenv1.ServiceTemplate{}
		}, "a shorter Cluster name helps"},
		{"policy of two stars", func(h *heavenv1.TrishankuHeaven) { h.Spec.Policy.ToMain.Exclude = []string{"/*/*"} }, "spec.policy.toMain.exclude[0]: Invalid value: is \"/*/*\"; write a key"},
		{"long name without Service", func(h *heavenv1.TrishankuHeaven) { h.Name = strings.Repeat("a", 64) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := read[heavenv1.TrishankuHeaven](t, scheduler)
			c.change(h)
			heavens.Default(h)
			expect(t, heavens.Validate(h), c.want)
		})
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	want := read[heavenv1.AutomatedMerge](t, `
metadata: {name: blue}
spec:
  clusterName: blue
  repositoryRef: {name: blue}
  gitCA: blue-git-ca
  service: {type: NodePort, port: 8443}
  storage: {persistentVolumeClaim: {size: 5Gi}}
  branches: {main: main, prefixes: [heavens/, nodes/], genesis: heavens/apiserver}`)
	got := read[heavenv1.AutomatedMerge](t, "{metadata: {name: blue}, spec: {clusterName: blue}}")
	stable(t, got, want, merges.Default)
	expect(t, merges.Validate(got), "")

	for _, c := range []struct{ name, spec, want string }{
		{"receives main", "branches: {main: nodes/main}", "merges into and receives from nobody"},
		{"pattern in the middle", "gates: [{name: a, branches: [heavens/a], rules: [{name: r, keys: [\"/a/**/b\"]}]}]", "spec.gates[0].rules[0].keys[0]: Invalid value: is \"/a/**/b\"; write a pattern"},
		{"approver of no name", "approvers: [\"heavens/ a\"]", "spec.approvers[0]"},
		{"owner whose branch is none", "policy: {owners: [{key: /a, branch: refs/heads/x}]}", "spec.policy.owners[0].branch: Invalid value: is \"refs/heads/x\"; leave out refs/heads/"},
		{"main can never begin", "branches: {prefixes: [nodes/]}", "main could never be created"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := read[heavenv1.AutomatedMerge](t, "{metadata: {name: blue}, spec: {clusterName: blue, "+c.spec+"}}")
			merges.Default(m)
			expect(t, merges.Validate(m), c.want)
		})
	}
	other := got.DeepCopy()
	other.Spec.Branches.Main = "trunk"
	expect(t, merges.Change(got, other), "all heavens merge back main")
}
