// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/yaml"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func golden(t *testing.T, name string, objects ...any) {
	t.Helper()
	var got bytes.Buffer
	for _, o := range objects {
		text, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString("---\n")
		got.Write(text)
	}
	file := filepath.Join("testdata", name+".yaml")
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test ./internal/heaven -rewrite makes it)", err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s differs (-want +got); go test ./internal/heaven -rewrite accepts it:\n%s", file, diff)
	}
}

func blue() (*clusterv1.Cluster, *controlplanev1.HeadlessControlPlane) {
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	hcp := &controlplanev1.HeadlessControlPlane{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue-x7k2p"},
		Spec:       controlplanev1.HeadlessControlPlaneSpec{Version: "1.36.3"},
	}
	return cluster, hcp
}

// rich uses what blue leaves to defaults.
func rich() (*clusterv1.Cluster, *controlplanev1.HeadlessControlPlane) {
	cluster, hcp := blue()
	cluster.Spec.ClusterNetwork = clusterv1.ClusterNetwork{
		Services:      clusterv1.NetworkRanges{CIDRBlocks: []string{"10.128.0.0/12", "fd01::/108"}},
		Pods:          clusterv1.NetworkRanges{CIDRBlocks: []string{"10.64.0.0/14"}},
		ServiceDomain: "blue.local",
	}
	hcp.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: "api.blue.example.org", Port: 443}
	hcp.Spec.HeadlessControlPlaneConfiguration = controlplanev1.HeadlessControlPlaneConfiguration{
		Components: controlplanev1.Components{
			APIServer: controlplanev1.APIServer{
				ExtraArgs: []heavenv1.Argument{{Name: "v", Value: "4"}, {Name: "profiling", Value: "true"}},
				Service:   heavenv1.ServiceTemplate{Type: corev1.ServiceTypeLoadBalancer, Port: 443, Annotations: map[string]string{"lb": "internal"}},
				CertSANs:  []string{"192.0.2.7"},
			},
			ControllerManager: controlplanev1.Component{Mode: heavenv1.ModeStrict},
			Scheduler:         controlplanev1.Component{Disabled: new(true)},
			Additional: []controlplanev1.AdditionalComponent{{
				Name: "operator",
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "operator"}},
					Spec: corev1.PodSpec{
						InitContainers: []corev1.Container{{Name: "prepare", Image: "example.org/prepare:v1"}},
						Containers:     []corev1.Container{{Name: "operator", Image: "example.org/operator:v1"}},
						NodeSelector:   map[string]string{"zone": "a"},
					},
				},
				Kubeconfig: controlplanev1.AdditionalKubeconfig{Path: "/etc/operator/admin.conf", Groups: []string{"operators"}},
			}},
		},
		Merge: controlplanev1.MergeConfiguration{MergeRules: heavenv1.MergeRules{
			Policy: heavenv1.MergePolicy{
				Owners: []heavenv1.FieldOwner{
					{Key: "/registry/minions/*", Path: ".spec.taints", Branch: new("nodes/*")},
					{Key: "/registry/ranges/", Branch: new("")},
				},
				Branches: []heavenv1.NamedBranchPolicy{{Branch: "nodes/*", BranchPolicy: heavenv1.BranchPolicy{
					FromMain: heavenv1.KeyFilter{Exclude: []string{"/registry/secrets/other/", "/registry/events/"}},
				}}},
			},
			Gates: []heavenv1.Gate{{
				Name: "operator", Branches: []string{"heavens/operator"},
				Rules: []heavenv1.GateRule{
					{Name: "own", Keys: []string{"/registry/example.org/**"}, Verbs: []heavenv1.GateVerb{"update", "create"}, Fields: []string{".status", "!.status.x"}},
					{Name: "roles", RBAC: heavenv1.GateRBAC{Users: []string{"headless:operator"}}},
				},
				Rates: []heavenv1.GateRate{{Name: "deletes", Verbs: []heavenv1.GateVerb{"delete"}, Limit: new(int32(50)), Per: metav1.Duration{Duration: time.Minute}}},
			}},
			Approvers: []string{"heavens/operator"},
		}},
		Storage: &heavenv1.Storage{EmptyDir: &heavenv1.EmptyDirStorage{}},
		Images: heavenv1.Images{
			Registry:    "registry.example.org/mirror",
			PullSecrets: []heavenv1.LocalReference{{Name: "mirror"}},
			Gitcd:       heavenv1.ImageReference{Tag: "v0.2.0"},
		},
	}
	return cluster, hcp
}

type fixture func() (*clusterv1.Cluster, *controlplanev1.HeadlessControlPlane)

func set(t *testing.T, f fixture) Want {
	t.Helper()
	want, err := Set(f())
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func TestSet(t *testing.T) {
	for name, f := range map[string]fixture{"blue": blue, "rich": rich} {
		t.Run(name, func(t *testing.T) {
			want := set(t, f)
			objects := []any{want.Merge}
			for _, h := range want.Heavens() {
				objects = append(objects, h)
			}
			golden(t, "set/"+name, objects...)
		})
	}
}

func TestObjects(t *testing.T) {
	mounted := Content{"blue-ca": {"tls.crt": []byte("certificate")}}
	for name, f := range map[string]fixture{"blue": blue, "rich": rich} {
		for _, h := range set(t, f).Heavens() {
			t.Run(h.Name, func(t *testing.T) {
				in := Input{Heaven: h, Mounted: mounted}
				if h.Spec.Component == nil {
					in.Endpoint = heavenv1.Endpoint{Host: "10.203.0.17", Port: 6443}
				}
				o, err := ObjectsOf(in)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, "objects/"+name+"/"+ComponentName(h), present(o)...)
			})
		}
	}
}

func TestHubObjects(t *testing.T) {
	want := set(t, blue)
	o, err := HubObjects(HubInput{Merge: want.Merge})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "objects/blue/hub", present(o)...)
}

// TestHubRules renders what people say of merges, theirs of one heaven among it. What is a set has no order in the file.
func TestHubRules(t *testing.T) {
	want := set(t, rich)
	own := func(name string, exclude ...string) heavenv1.TrishankuHeaven {
		h := heavenv1.TrishankuHeaven{ObjectMeta: metav1.ObjectMeta{Name: name}}
		h.Spec.Branch = "heavens/" + name
		h.Spec.Policy.ToMain.Exclude = exclude
		return h
	}
	picky := own("operator", "/registry/b/", "/registry/a/")
	picky.Spec.Policy.Prefer = []heavenv1.Preference{{Path: ".spec.replicas", Take: heavenv1.SideTheirs}}
	o, err := HubObjects(HubInput{Merge: want.Merge, Heavens: []heavenv1.TrishankuHeaven{own("z", "/z/"), own("plain"), picky}})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "objects/rich/hub-rules", o.ConfigMap)

	picky.Spec.Policy.ToMain.Exclude = []string{"/registry/a/", "/registry/b/"}
	again, err := HubObjects(HubInput{Merge: want.Merge, Heavens: []heavenv1.TrishankuHeaven{picky, own("plain"), own("z", "/z/")}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(o, again); diff != "" {
		t.Errorf("equal rules in another order give other bytes:\n%s", diff)
	}
}

func present(o Objects) []any {
	objects := []any{o.ConfigMap}
	if o.Claim != nil {
		objects = append(objects, o.Claim)
	}
	if o.Service != nil {
		objects = append(objects, o.Service)
	}
	return append(objects, o.Deployment)
}
