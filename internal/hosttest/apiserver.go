// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	bootstrapv1 "github.com/trishanku-org/cluster-api-provider-headless/api/bootstrap/v1alpha1"
	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// patience is how long an API server may take to serve new kinds on a machine that is busy.
const patience = 60 * time.Second

// config is where the release's kinds and rights are, seen from a controller's folder.
var config = filepath.Join("..", "..", "config")

// Scheme knows the kinds of Kubernetes, of Cluster API's core and ours.
func Scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		scheme.AddToScheme, clusterv1.AddToScheme, heavenv1.AddToScheme, controlplanev1.AddToScheme, infrav1.AddToScheme, bootstrapv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// APIServer is the API server of a host cluster: a real kube-apiserver, on gitcd, with the kinds of Cluster API and ours,
// and nothing beside it. The answer is an administrator's.
func APIServer(t *testing.T) *rest.Config {
	t.Helper()
	etcd := testbin.Socket(t)
	testbin.Start(t, "gitcd", "serve", "--memory", "--listen", etcd)
	server := testbin.StartAPIServer(t, etcd)
	admin := &rest.Config{
		Host: server.URL, BearerToken: server.Token, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, QPS: 200, Burst: 400,
	}
	core, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/cluster-api").Output()
	if err != nil {
		t.Fatalf("find the CRDs of Cluster API: %v", err)
	}
	var paths []string
	for _, kind := range []string{"clusters", "machines", "machinesets"} {
		paths = append(paths, filepath.Join(strings.TrimSpace(string(core)), "core", "config", "crd", "bases", "cluster.x-k8s.io_"+kind+".yaml"))
	}
	for _, provider := range []string{"controlplane", "infrastructure", "bootstrap"} {
		paths = append(paths, filepath.Join(config, provider, "crd", "bases"))
	}
	if _, err = envtest.InstallCRDs(admin, envtest.CRDInstallOptions{Paths: paths, ErrorIfPathMissing: true, MaxTime: patience}); err != nil {
		t.Fatal(err)
	}
	return admin
}

// As is an API server as the manager of one provider sees it: with the rights that the release gives, and no other.
func As(t *testing.T, admin *rest.Config, provider string) *rest.Config {
	t.Helper()
	c, err := client.New(admin, client.Options{Scheme: Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(config, provider, "rbac", "role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.Unmarshal(text, role); err != nil {
		t.Fatal(err)
	}
	role.Name = provider
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: provider},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: provider},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: provider}},
	}
	for _, o := range []client.Object{role, binding} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	manager := rest.CopyConfig(admin)
	manager.Impersonate = rest.ImpersonationConfig{UserName: provider}
	return manager
}
