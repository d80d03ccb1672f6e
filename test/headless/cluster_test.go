// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headless

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// patience is how long anything may take on a machine that is busy.
const patience = 90 * time.Second

// cluster is a headless cluster of processes.
type cluster struct {
	t        *testing.T // the test that processes live as long as
	dir, bin string
	ca       *authority
	hub      *process
	hubAddr  string
}

// process is a running command. Its output is printed if the test fails.
type process struct {
	cmd *exec.Cmd
	log string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	bin := testbin.Dir(t, "gitcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
	c := &cluster{t: t, dir: t.TempDir(), bin: bin}
	c.ca = newAuthority(t, c.path("pki"))
	c.ca.leaf(t, "hub", "hub")
	c.ca.leaf(t, "apiserver", "kube-apiserver")
	c.ca.leaf(t, "sa", "sa")
	c.ca.leaf(t, "admin", "admin", "system:masters")
	c.ca.leaf(t, "hub-admin", "hub-admin")
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	write(t, c.path("encryption.yaml"), fmt.Appendf(nil, `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers: [{secretbox: {keys: [{name: k1, secret: %s}]}}, {identity: {}}]
`, key))
	c.startHub(t)
	return c
}

func (c *cluster) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

func (c *cluster) startHub(t *testing.T) {
	t.Helper()
	if c.hubAddr == "" {
		c.hubAddr = fmt.Sprintf("127.0.0.1:%d", testbin.Port(t))
	}
	write(t, c.path("hub.yaml"), fmt.Appendf(nil, `apiVersion: gitcd.trishanku.org/v1alpha1
kind: Config
repository: %s
hub:
  listen: %q
  tls: {certFile: %[3]s/hub.crt, keyFile: %[3]s/hub.key, clientCAFile: %[3]s/ca.crt}
`, c.path("hub.git"), c.hubAddr, c.path("pki")))
	c.hub = c.start(t, "hub", "gitcd", "hub", "--config", c.path("hub.yaml"))
}

// heaven is a gitcd with its kube-apiserver.
type heaven struct {
	c            *cluster
	name, branch string
	port         int
	gitcd, kube  *process
	client       *kubernetes.Clientset
	ranInit      bool
	frontDoor    bool
	statusListen string
	suffix       string // of the directory, if it is not the first with this name
}

// newHeaven starts a heaven and waits until its kube-apiserver is ready.
func (c *cluster) newHeaven(t *testing.T, name string) *heaven {
	t.Helper()
	return c.newHeavenOf(t, name, "heavens/"+name)
}

// newHeavenOf does so for a branch of any kind.
func (c *cluster) newHeavenOf(t *testing.T, name, branch string) *heaven {
	t.Helper()
	h := &heaven{c: c, name: name, branch: branch, port: testbin.Port(t), frontDoor: name == "apiserver", statusListen: fmt.Sprintf("127.0.0.1:%d", testbin.Port(t))}
	c.ca.leaf(t, name, branch)
	h.startGitcd(t)
	h.startAPIServer(t)
	return h
}

func (h *heaven) path(elem ...string) string {
	return h.c.path(append([]string{h.name + h.suffix}, elem...)...)
}

func (h *heaven) startGitcd(t *testing.T) {
	t.Helper()
	genesis := ""
	if h.frontDoor {
		genesis = fmt.Sprintf("genesis: {readyURL: \"https://127.0.0.1:%d/readyz\", caFile: %[2]s/ca.crt, certFile: %[2]s/admin.crt, keyFile: %[2]s/admin.key}\n", h.port, h.c.path("pki"))
	}
	pki := h.c.path("pki", h.name)
	write(t, h.path("gitcd.yaml"), fmt.Appendf(nil, `apiVersion: gitcd.trishanku.org/v1alpha1
kind: Config
repository: %s
branch: %s
listeners: [{url: "unix://%s"}]
events: {listeners: [{url: "unix://%s"}]}
statusListen: %q
upstream: {url: "https://%s", caFile: %s, certFile: %s.crt, keyFile: %[8]s.key}
%s`, h.path("repository.git"), h.branch, h.path("g.sock"), h.path("e.sock"), h.statusListen, h.c.hubAddr, h.c.path("pki", "ca.crt"), pki, genesis))
	if !h.ranInit {
		h.c.start(t, h.name+"-init", "gitcd", "init", "--config", h.path("gitcd.yaml")).wait(t)
		h.ranInit = true
	}
	h.gitcd = h.c.start(t, h.name+"-gitcd", "gitcd", "serve", "--config", h.path("gitcd.yaml"))
	eventually(t, "gitcd of "+h.name, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", h.path("g.sock"))
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func (h *heaven) startAPIServer(t *testing.T) {
	t.Helper()
	pki := h.c.path("pki")
	reconciler := "none"
	if h.frontDoor {
		reconciler = "lease"
	}
	h.kube = h.c.start(t, h.name+"-kube-apiserver", "kube-apiserver",
		"--etcd-servers=unix://"+h.path("g.sock"),
		"--etcd-servers-overrides=/events#unix://"+h.path("e.sock"),
		"--storage-media-type=application/json",
		"--encryption-provider-config="+h.c.path("encryption.yaml"),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", h.port),
		"--tls-cert-file="+pki+"/apiserver.crt", "--tls-private-key-file="+pki+"/apiserver.key",
		"--client-ca-file="+pki+"/ca.crt",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file="+pki+"/sa.pub", "--service-account-signing-key-file="+pki+"/sa.key",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=Node,RBAC", "--endpoint-reconciler-type="+reconciler,
	)
	config := &rest.Config{
		Host:            fmt.Sprintf("https://127.0.0.1:%d", h.port),
		TLSClientConfig: rest.TLSClientConfig{CAFile: pki + "/ca.crt", CertFile: pki + "/admin.crt", KeyFile: pki + "/admin.key"},
		QPS:             -1,
	}
	var err error
	if h.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	eventually(t, "kube-apiserver of "+h.name, func(ctx context.Context) error {
		return h.client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// component starts a Kubernetes component beside the heaven.
func (h *heaven) component(t *testing.T, binary, user string, args ...string) *process {
	t.Helper()
	k := "--kubeconfig=" + h.kubeconfig(t, binary, user)
	all := append([]string{k, "--authentication-" + k[2:], "--authorization-" + k[2:], "--leader-elect=false", "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", testbin.Port(t))}, args...)
	return h.c.start(t, binary, binary, all...)
}

// kubeconfig writes one by which a program is a user, and returns its path.
func (h *heaven) kubeconfig(t *testing.T, program, user string) string {
	t.Helper()
	h.c.ca.leaf(t, "user-"+program, user)
	write(t, h.path("kubeconfig"), fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:%d", certificate-authority: %s/ca.crt}}]
users: [{name: u, user: {client-certificate: %[2]s/user-%[3]s.crt, client-key: %[2]s/user-%[3]s.key}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, h.port, h.c.path("pki"), program))
	return h.path("kubeconfig")
}

// start runs a binary until the test ends.
func (c *cluster) start(t *testing.T, name, binary string, args ...string) *process {
	t.Helper()
	p := &process{log: c.path("logs", name+".log")}
	if err := os.MkdirAll(filepath.Dir(p.log), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(filepath.Join(c.bin, binary), args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = c.dir, out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.t.Cleanup(func() {
		p.kill()
		if err := out.Close(); err != nil {
			c.t.Error(err)
		}
		if c.t.Failed() {
			data, _ := os.ReadFile(p.log)
			lines := strings.Split(string(data), "\n")
			c.t.Logf("the end of the log of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-25):], "\n"))
		}
	})
	return p
}

// wait waits until the process has done its work.
func (p *process) wait(t *testing.T) {
	t.Helper()
	if err := p.cmd.Wait(); err != nil {
		t.Fatalf("%v: %v", p.cmd.Args, err)
	}
}

// kill is kill -9: nothing can be put in order.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// eventually tries until it works.
func eventually(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	within(t, patience, what, try)
}

// within tries until it works, as long as a program of somebody else's may take.
func within(t *testing.T, patience time.Duration, what string, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not after %s: %v", what, patience, err)
		case <-tick.C:
		}
	}
}

// get reads a plain HTTP page.
func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	return b.String(), err
}

// git runs stock Git.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}
