// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mergecheck

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// patience is how long kube-apiserver may take to be ready on a machine that is busy.
const patience = 2 * time.Minute

// server is a kube-apiserver on an etcd.
type server struct {
	objects dynamic.Interface
	client  *kubernetes.Clientset
}

func startServer(t *testing.T) *server {
	t.Helper()
	bin, dir := testbin.Dir(t, "etcd", "kube-apiserver"), t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "sa.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	write(t, filepath.Join(dir, "tokens"), []byte("secret,admin,admin,system:masters\n"))
	etcd, peer, port := testbin.Port(t), testbin.Port(t), testbin.Port(t)
	store := fmt.Sprintf("http://127.0.0.1:%d", etcd)
	start(t, filepath.Join(bin, "etcd"), "--data-dir="+filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level=error",
		"--listen-client-urls="+store, "--advertise-client-urls="+store, fmt.Sprintf("--listen-peer-urls=http://127.0.0.1:%d", peer))
	log := start(t, filepath.Join(bin, "kube-apiserver"),
		"--etcd-servers="+store, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port), "--cert-dir="+filepath.Join(dir, "certs"),
		"--token-auth-file="+filepath.Join(dir, "tokens"), "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+filepath.Join(dir, "sa.key"), "--service-account-signing-key-file="+filepath.Join(dir, "sa.key"),
		"--service-cluster-ip-range=10.0.0.0/24,fd00:10::/112", "--disable-admission-plugins=ServiceAccount", "--allow-privileged", "--endpoint-reconciler-type=none")
	config := &rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", port), BearerToken: "secret", QPS: -1, TLSClientConfig: rest.TLSClientConfig{Insecure: true},
	}
	s := &server{}
	if s.objects, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := s.client.RESTClient().Get().AbsPath("/readyz").Do(t.Context()).Error()
		if err == nil {
			return s
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(log)
			t.Fatalf("kube-apiserver is not ready: %v\n%s", err, text[max(0, len(text)-4096):])
		}
	}
}

// start starts a command that ends with the test, and returns its log.
func start(t *testing.T, binary string, args ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "log")
	log, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run make build-test", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // that it was killed is no news
	})
	return name
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
