// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// start runs a program for as long as the test. Its output is shown if the test fails.
func start(t *testing.T, log, program string, args ...string) {
	t.Helper()
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		done := make(chan struct{})
		go func() {
			_ = cmd.Wait()
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-done
		}
		_ = out.Close()
		if t.Failed() {
			if text, err := os.ReadFile(log); err == nil {
				t.Logf("%s said, at the end:\n%s", filepath.Base(program), text[max(0, len(text)-4000):])
			}
		}
	})
}

func writeFile(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hostAPIServer is the API server of a host cluster: a real kube-apiserver, on gitcd, and nothing else.
func hostAPIServer(t *testing.T) *rest.Config {
	t.Helper()
	dir := t.TempDir()
	sockets, err := os.MkdirTemp("", "h") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	etcd := "unix://" + filepath.Join(sockets, "s")
	start(t, filepath.Join(dir, "gitcd.log"), testbin.Path(t, "gitcd"), "serve", "--memory", "--listen", etcd)

	generated := &secret.Certificate{KeyEncryptionAlgorithm: bootstrapv1.EncryptionAlgorithmECDSAP256}
	if err := generated.Generate(); err != nil {
		t.Fatal(err)
	}
	ca, err := pki.ParseAuthority(&corev1.Secret{Data: map[string][]byte{"tls.crt": generated.KeyPair.Cert, "tls.key": generated.KeyPair.Key}})
	if err != nil {
		t.Fatal(err)
	}
	issue := func(leaf pki.Leaf) pki.KeyPair {
		pair, err := ca.Issue(leaf, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	serving := issue(pki.Leaf{CommonName: "kube-apiserver", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Server: true})
	admin := issue(pki.Leaf{CommonName: "admin", Organizations: []string{"system:masters"}, Client: true})
	file := func(name string, data []byte) string { return writeFile(t, filepath.Join(dir, name), data) }
	key := file("server.key", serving.Key)
	port := testbin.Port(t)
	start(t, filepath.Join(dir, "kube-apiserver.log"), testbin.Path(t, "kube-apiserver"),
		"--etcd-servers="+etcd, "--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(port), "--endpoint-reconciler-type=none",
		"--authorization-mode=RBAC", "--service-cluster-ip-range=10.203.0.0/16", "--storage-media-type=application/json",
		"--client-ca-file="+file("ca.crt", ca.Cert), "--tls-cert-file="+file("server.crt", serving.Cert), "--tls-private-key-file="+key,
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+key, "--service-account-signing-key-file="+key,
		"--disable-admission-plugins=ServiceAccount")
	config := &rest.Config{
		Host:            fmt.Sprintf("https://127.0.0.1:%d", port),
		TLSClientConfig: rest.TLSClientConfig{CAData: ca.Cert, CertData: admin.Cert, KeyData: admin.Key},
		QPS:             200, Burst: 400,
	}
	waitReady(t, config)
	return config
}

func waitReady(t *testing.T, config *rest.Config) {
	t.Helper()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, config.Host+"/readyz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatal("the API server did not become ready within two minutes")
}
