// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

var at = field.NewPath("spec", "f")

// expect compares errors with what they must say; "" means none.
func expect(t *testing.T, errs field.ErrorList, want string) {
	t.Helper()
	switch {
	case want == "" && len(errs) > 0:
		t.Fatalf("refused: %v", errs.ToAggregate())
	case want != "" && len(errs) == 0:
		t.Fatalf("admitted, want an error with %q", want)
	case want != "" && !strings.Contains(errs.ToAggregate().Error(), want):
		t.Fatalf("got %v\nwant an error with %q", errs.ToAggregate(), want)
	}
	for _, e := range errs {
		if !strings.HasPrefix(e.Field, "spec.f") {
			t.Errorf("%v does not say where: field is %q", e, e.Field)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v1.36.3": "", "v1.34.0": "", "v1.37.0-rc.1": "", "v1.36.3+build.1": "",
		"":        "write a Kubernetes version, such as v1.36.0",
		"v1.36":   "write all three parts",
		"1.36.3":  "write all three parts",
		"latest":  "is no version",
		"v1.33.9": "runs Kubernetes v1.34 and later",
		"v2.0.0":  "runs Kubernetes v1.34 and later",
	} {
		t.Run(version, func(t *testing.T) { t.Parallel(); expect(t, Version(at, version), want) })
	}
	if got := DefaultVersion("1.36.3"); got != "v1.36.3" {
		t.Errorf("defaulted to %s", got)
	}
	for _, v := range []string{"", "v1.36.3", "latest"} {
		if got := DefaultVersion(v); got != v {
			t.Errorf("%q became %q", v, got)
		}
	}
	if w := VersionWarnings(at, "v1.38.0"); len(w) != 1 {
		t.Errorf("no warning of an untested version: %v", w)
	}
	if w := VersionWarnings(at, "v1.36.9"); len(w) != 0 {
		t.Errorf("warned of a tested version: %v", w)
	}
}

func TestVersionChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ before, after, want string }{
		{"v1.35.1", "v1.36.3", ""},
		{"v1.36.3", "v1.36.1", ""},
		{"v1.34.1", "v1.36.0", "go to v1.35 first"},
		{"v1.36.0", "v1.35.9", "never goes back"},
		{"", "v1.36.0", ""},
	} {
		t.Run(c.before+"-"+c.after, func(t *testing.T) { t.Parallel(); expect(t, VersionChange(at, c.before, c.after), c.want) })
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, value string
		owned       Owned
		want        string
	}{
		{"v", "4", APIServerFlags, ""},
		{"feature-gates", "A=true", ControllerManagerFlags, ""},
		{"--v", "4", APIServerFlags, "leave out the dashes"},
		{"etcd-servers", "http://x", APIServerFlags, "flag --etcd-servers of kube-apiserver cannot be set: the heaven's store depends on it"},
		{"storage-media-type", "application/vnd.kubernetes.protobuf", APIServerFlags, "the heaven's store"},
		{"encryption-provider-config", "/dev/null", APIServerFlags, "write encryption"},
		{"service-cluster-ip-range", "10.0.0.0/8", APIServerFlags, "Cluster.spec.clusterNetwork"},
		{"leader-elect", "true", SchedulerFlags, "Git is the lease"},
		{"controllers", "*,-nodeipam", ControllerManagerFlags, ""},
		{"node-labels", "a=b", KubeletFlags, "write labels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			expect(t, Arguments(at, []heavenv1.Argument{{Name: c.name, Value: c.value}}, c.owned), c.want)
		})
	}
	expect(t, Arguments(at, []heavenv1.Argument{{Name: "v", Value: "1"}, {Name: "v", Value: "1"}}, APIServerFlags), "Duplicate")
	expect(t, Arguments(at, []heavenv1.Argument{{Name: "tls-sni-cert-key", Value: "a"}, {Name: "tls-sni-cert-key", Value: "b"}}, APIServerFlags), "")
}

func claim(class, size string) *heavenv1.Storage {
	c := &heavenv1.PersistentVolumeClaimStorage{}
	if class != "" {
		c.StorageClassName = &class
	}
	if size != "" {
		c.Size = resource.MustParse(size)
	}
	return &heavenv1.Storage{PersistentVolumeClaim: c}
}

func TestStorage(t *testing.T) {
	t.Parallel()
	empty := &heavenv1.Storage{EmptyDir: &heavenv1.EmptyDirStorage{}}
	expect(t, Storage(at, nil), "")
	expect(t, Storage(at, empty), "")
	expect(t, Storage(at, claim("", "1Gi")), "")
	expect(t, Storage(at, claim("", "1Mi")), "too small for a repository; write at least 256Mi")
	expect(t, Storage(at, &heavenv1.Storage{}), "exactly one")
	expect(t, StorageChange(at, claim("a", "1Gi"), claim("a", "2Gi")), "")
	expect(t, StorageChange(at, claim("a", "2Gi"), claim("a", "1Gi")), "does not shrink; write at least 2Gi")
	expect(t, StorageChange(at, claim("a", "2Gi"), claim("b", "2Gi")), "does not change its class")
	expect(t, StorageChange(at, claim("", "2Gi"), empty), "does not move between")
	expect(t, StorageChange(at, nil, empty), "")

	if got := DefaultStorage(nil, HubStorageSize).PersistentVolumeClaim.Size.String(); got != "5Gi" {
		t.Errorf("default is %s", got)
	}
	if got := DefaultStorage(claim("fast", ""), HeavenStorageSize).PersistentVolumeClaim; got.Size.String() != "2Gi" || *got.StorageClassName != "fast" {
		t.Errorf("default is %v", got)
	}
	if got := DefaultStorage(&heavenv1.Storage{EmptyDir: &heavenv1.EmptyDirStorage{}}, "1Gi"); got.PersistentVolumeClaim != nil {
		t.Errorf("an emptyDir got a claim: %v", got)
	}
}

func TestServiceAndNetworks(t *testing.T) {
	t.Parallel()
	expect(t, Service(at, nil), "")
	expect(t, Service(at, &heavenv1.ServiceTemplate{Type: corev1.ServiceTypeNodePort, NodePort: 30000, ExternalHost: "10.1.2.3"}), "")
	expect(t, Service(at, &heavenv1.ServiceTemplate{NodePort: 30000}), "needs type NodePort or LoadBalancer")
	expect(t, Service(at, &heavenv1.ServiceTemplate{ExternalHost: "https://x:1"}), "without scheme and port")
	expect(t, Service(at, &heavenv1.ServiceTemplate{Annotations: map[string]string{"a b": "c"}}), "annotations")

	expect(t, Endpoint(at, "", 0), "")
	expect(t, Endpoint(at, "api.example.org", 6443), "")
	expect(t, Endpoint(at, "api.example.org", 0), "write host and port, or neither")
	expect(t, Endpoint(at, "", 6443), "write host and port, or neither")
	expect(t, Endpoint(at, "a_b", 6443), "neither an address nor a DNS name")

	expect(t, Networks(at, []string{"10.96.0.0/16", "fd00::/112"}), "")
	expect(t, Networks(at, []string{"10.96.0.1/16"}), "write 10.96.0.0/16")
	expect(t, Networks(at, []string{"10.96.0.0/16", "10.97.0.0/16"}), "same family")
	expect(t, Networks(at, []string{"ten"}), "no range of addresses")

	expect(t, Names(at, []string{"*.example.org", "::1", "a.b"}), "")
	expect(t, Names(at, []string{"a", "b:6443"}), "spec.f[1]")
}

func TestPodTemplate(t *testing.T) {
	t.Parallel()
	pod := func(change func(*corev1.PodTemplateSpec)) *corev1.PodTemplateSpec {
		p := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
		change(p)
		return p
	}
	for _, c := range []struct {
		name   string
		change func(*corev1.PodTemplateSpec)
		want   string
	}{
		{"least", func(*corev1.PodTemplateSpec) {}, ""},
		{"no container", func(p *corev1.PodTemplateSpec) { p.Spec.Containers = nil }, "spec.f.spec.containers: Required"},
		{"no image", func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Image = "" }, "containers[0].image: Required"},
		{"own name", func(p *corev1.PodTemplateSpec) { p.Spec.Containers[0].Name = "gitcd" }, "the heaven's own; choose another"},
		{"own volume", func(p *corev1.PodTemplateSpec) { p.Spec.Volumes = []corev1.Volume{{Name: "kube-apiserver-certs"}} }, "volumes[0].name"},
		{"twice", func(p *corev1.PodTemplateSpec) {
			p.Spec.InitContainers = []corev1.Container{{Name: "c", Image: "i"}}
		}, "initContainers[0].name: Duplicate"},
		{"host network", func(p *corev1.PodTemplateSpec) { p.Spec.HostNetwork = true }, "loopback address"},
		{"runs once", func(p *corev1.PodTemplateSpec) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }, "restartPolicy"},
		{"bad label", func(p *corev1.PodTemplateSpec) { p.Labels = map[string]string{"a b": ""} }, "spec.f.metadata.labels"},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); expect(t, PodTemplate(at, pod(c.change)), c.want) })
	}
}
