// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedmachine_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

const patience = 60 * time.Second

// start runs a program of bin/ until the test ends. Its output is shown if the test fails.
func start(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), testbin.Path(t, name), args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
		if text, err := os.ReadFile(out.Name()); err == nil && t.Failed() {
			t.Logf("%s said, at the end:\n%s", name, text[max(0, len(text)-3000):])
		}
	})
}

// hostAPIServer is the API server of a host cluster: a real kube-apiserver, on gitcd, with the kinds of Cluster API and ours.
func hostAPIServer(t *testing.T) *rest.Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "h") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	generated := &secret.Certificate{KeyEncryptionAlgorithm: bootstrapv1.EncryptionAlgorithmECDSAP256}
	if err = generated.Generate(); err != nil {
		t.Fatal(err)
	}
	ca, err := pki.ParseAuthority(&corev1.Secret{Data: map[string][]byte{"tls.crt": generated.KeyPair.Cert, "tls.key": generated.KeyPair.Key}})
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := pki.Renew(nil, []pki.Wish{
		{Name: "server", Authority: ca, Leaf: pki.Leaf{CommonName: "kube-apiserver", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true}},
		{Name: "admin", Authority: ca, Leaf: pki.Leaf{CommonName: "admin", Organizations: []string{"system:masters"}, Client: true}},
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	bundle.Data["ca.crt"] = ca.Cert
	for name, content := range bundle.Data {
		if err = os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port := strconv.Itoa(testbin.Port(t))
	file := func(name string) string { return filepath.Join(dir, name) }
	start(t, "gitcd", "serve", "--memory", "--listen", "unix://"+file("s"))
	start(t, "kube-apiserver",
		"--etcd-servers=unix://"+file("s"), "--bind-address=127.0.0.1", "--secure-port="+port, "--endpoint-reconciler-type=none",
		"--authorization-mode=RBAC", "--service-cluster-ip-range=10.203.0.0/16", "--storage-media-type=application/json",
		"--client-ca-file="+file("ca.crt"), "--tls-cert-file="+file("server.crt"), "--tls-private-key-file="+file("server.key"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+file("server.key"),
		"--service-account-signing-key-file="+file("server.key"), "--disable-admission-plugins=ServiceAccount")
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	config := &rest.Config{
		Host:            fmt.Sprintf("https://127.0.0.1:%d", number),
		TLSClientConfig: rest.TLSClientConfig{CAData: ca.Cert, CertData: bundle.Data["admin.crt"], KeyData: bundle.Data["admin.key"]},
		QPS:             200, Burst: 400,
	}
	ready, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		response, err := ready.Get(config.Host + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the API server is not ready after %s: %v", patience, err)
		}
	}
	installCRDs(t, config)
	return config
}

func installCRDs(t *testing.T, config *rest.Config) {
	t.Helper()
	core, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/cluster-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	upstream := filepath.Join(strings.TrimSpace(string(core)), "core", "config", "crd", "bases")
	var paths []string
	for _, kind := range []string{"clusters", "machines", "machinesets"} {
		paths = append(paths, filepath.Join(upstream, "cluster.x-k8s.io_"+kind+".yaml"))
	}
	for _, provider := range []string{"controlplane", "infrastructure", "bootstrap"} {
		paths = append(paths, filepath.Join("..", "..", "config", provider, "crd", "bases"))
	}
	if _, err = envtest.InstallCRDs(config, envtest.CRDInstallOptions{Paths: paths, ErrorIfPathMissing: true, MaxTime: patience}); err != nil {
		t.Fatal(err)
	}
}

// as is the API server as the manager of one provider sees it: with the rights that the release gives, and no other.
func as(t *testing.T, c client.Client, config *rest.Config, provider string) *rest.Config {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", provider, "rbac", "role.yaml"))
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
	manager := rest.CopyConfig(config)
	manager.Impersonate = rest.ImpersonationConfig{UserName: provider}
	return manager
}
