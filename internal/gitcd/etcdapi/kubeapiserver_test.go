// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
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

	"google.golang.org/grpc"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// serve puts a store behind a unix socket and returns the endpoint.
func serve(t *testing.T, store *mvcc.Store) string {
	t.Helper()
	socket := socketPath(t)
	t.Cleanup(serveOn(t, socket, store))
	return "unix://" + socket
}

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gitcd") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func serveOn(t *testing.T, socket string, store *mvcc.Store) (stop func()) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(etcdapi.ServerOptions()...)
	etcdapi.NewServer(store, etcdapi.Options{Epoch: 1}).Register(g)
	go func() { _ = g.Serve(l) }()
	return g.Stop
}

// kubeAPIServer is a real kube-apiserver, spoken to as people with a shell do.
type kubeAPIServer struct {
	t      *testing.T
	dir    string
	etcd   string
	args   []string
	port   int
	cmd    *exec.Cmd
	client *http.Client
}

func startKubeAPIServer(t *testing.T, etcd string, args ...string) *kubeAPIServer {
	t.Helper()
	dir := t.TempDir()
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
	k := &kubeAPIServer{t: t, dir: dir, etcd: etcd, args: args, client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 32,
	}}}
	k.start()
	t.Cleanup(k.stop)
	return k
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (k *kubeAPIServer) start() {
	k.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		k.t.Fatal(err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		k.t.Fatal("no TCP address")
	}
	k.port = addr.Port
	_ = l.Close()
	args := append([]string{
		"--etcd-servers=" + k.etcd, "--storage-media-type=application/json",
		"--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(k.port), "--cert-dir=" + filepath.Join(k.dir, "certs"),
		"--token-auth-file=" + filepath.Join(k.dir, "tokens"), "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + filepath.Join(k.dir, "sa.key"),
		"--service-account-signing-key-file=" + filepath.Join(k.dir, "sa.key"), "--service-cluster-ip-range=10.0.0.0/24",
		"--disable-admission-plugins=ServiceAccount",
	}, k.args...)
	log, err := os.OpenFile(filepath.Join(k.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		k.t.Fatal(err)
	}
	k.cmd = exec.Command(testbin.Path(k.t, "kube-apiserver"), args...)
	k.cmd.Stdout, k.cmd.Stderr = log, log
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	_ = log.Close()
	began := time.Now()
	for {
		if code, body := k.do(http.MethodGet, "/readyz", nil); code == http.StatusOK {
			k.t.Logf("kube-apiserver ready after %s", time.Since(began).Round(time.Millisecond))
			return
		} else if time.Since(began) > time.Minute {
			k.t.Fatalf("kube-apiserver is not ready: %d %s\n%s", code, body, k.tail())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (k *kubeAPIServer) tail() string {
	data, _ := os.ReadFile(filepath.Join(k.dir, "log"))
	lines := strings.Split(string(data), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

func (k *kubeAPIServer) stop() {
	if k.cmd == nil {
		return
	}
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
	k.cmd = nil
	k.client.CloseIdleConnections()
}

func (k *kubeAPIServer) request(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("https://127.0.0.1:%d%s", k.port, path), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Content-Type", "application/json")
	return k.client.Do(r)
}

// do sends a request and returns the answer; code 0 is no answer.
func (k *kubeAPIServer) do(method, path string, body any) (int, []byte) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return 0, []byte(err.Error())
		}
	}
	resp, err := k.request(context.Background(), method, path, data)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer func() { _ = resp.Body.Close() }()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return resp.StatusCode, out
}

func (k *kubeAPIServer) must(method, path string, body any, want int) object {
	k.t.Helper()
	code, data := k.do(method, path, body)
	if code != want {
		k.t.Fatalf("%s %s: %d %s\n%s", method, path, code, data, k.tail())
	}
	return decode(k.t, data)
}

type object map[string]any

func decode(t *testing.T, data []byte) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return o
}

func (o object) at(path ...string) any {
	var v any = map[string]any(o)
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func (o object) text(path ...string) string {
	s, _ := o.at(path...).(string)
	return s
}

func (o object) items() []object {
	var out []object
	list, _ := o.at("items").([]any)
	for _, i := range list {
		m, _ := i.(map[string]any)
		out = append(out, m)
	}
	return out
}
