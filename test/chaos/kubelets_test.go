// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package chaos

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/cgroup"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/images"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

const (
	insideEnv = "HEADLESS_CHAOS_INSIDE" // names the directory to work in
	ownGroup  = "headless-chaos"
)

func nodeGroup(index int) string { return fmt.Sprintf("%s-n%d", ownGroup, index) }

// TestKubelets is TestHollow with nodes that are not: kubelets, containerds and
// containers. It runs in namespaces (processes, network, mounts) and in a control
// group of its own. With its first process all others end, and with them what
// they mounted, however it ends itself: by a failure, a signal, or its time limit.
func TestKubelets(t *testing.T) {
	tune := shippedTuning()
	if tune.dir = os.Getenv(insideEnv); tune.dir == "" {
		outside(t)
		return
	}
	inside(t)
	tune.addNode = (*cluster).addKubelet
	misfortunes(t, tune)
}

// outside runs this very test again, inside.
func outside(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("kubelets need root")
	}
	// Not in the test's own directory, which would be removed before what is mounted in it has gone.
	const prefix = ownGroup + "-run"
	groups := []string{ownGroup}
	for i := range *nodesFlag {
		groups = append(groups, nodeGroup(i+1))
	}
	sweep := func() {
		for _, g := range groups {
			if err := cgroup.Remove(context.Background(), g); err != nil {
				t.Error(err)
			}
		}
		dirs, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
		if err != nil {
			t.Error(err)
		}
		for _, dir := range dirs {
			if err := os.RemoveAll(dir); err != nil {
				t.Error(err)
			}
		}
	}
	sweep()                              // groups and files of a run that was killed
	dir, err := os.MkdirTemp("", prefix) //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if err := cgroup.Create(g); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(sweep)
	args := []string{"-test.v", "-test.run=^" + t.Name() + "$", "-test.timeout=30m"}
	for _, arg := range os.Args[1:] {
		if strings.HasPrefix(arg, "-chaos.") {
			args = append(args, arg)
		}
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), insideEnv+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		t.Errorf("inside: %v", err)
	}
}

// inside makes the namespaces fit to live in.
func inside(t *testing.T) {
	t.Helper()
	if err := cgroup.Join(ownGroup); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"link set lo up", "link add d0 type bridge", "addr add 10.200.0.1/24 dev d0", "link set d0 up", "route add default via 10.200.0.254 dev d0",
	} {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", line, err, out)
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// addKubelet starts a node's heaven, its containerd and its kubelet, and looks at what its containers do.
func (c *cluster) addKubelet(ctx context.Context, t *testing.T, index int) (*node, <-chan struct{}) {
	t.Helper()
	name := fmt.Sprintf("n%d", index)
	n := &node{member: c.join(t, "nodes/"+name), ran: map[types.UID]*life{}}
	pki, socket := c.path("pki"), n.path("c.sock")
	write(t, n.path("cni", "10-chaos.conflist"), fmt.Appendf(nil, `{"cniVersion": "0.4.0", "name": "chaos", "plugins": [{"type": "bridge", "bridge": "cni%d",
 "isGateway": true, "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": "10.24%d.0.0/24"}]]}}]}`, index, n.path("ipam"), index))
	write(t, n.path("containerd.toml"), fmt.Appendf(nil, `version = 2
root = %q
state = %q
oom_score = 0
[grpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %q
`, n.path("containerd"), n.path("run"), socket, sandbox.ImagePause, n.path("cni")))
	c.ca.leaf(t, "kubelet-"+name, "system:node:"+name, "system:nodes")
	write(t, n.path("kubelet.conf"), fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:%d", certificate-authority: %s/ca.crt}}]
users: [{name: u, user: {client-certificate: %[2]s/kubelet-%[3]s.crt, client-key: %[2]s/kubelet-%[3]s.key}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, n.port, pki, name))
	write(t, n.path("resolv.conf"), nil)
	write(t, n.path("kubelet.yaml"), fmt.Appendf(nil, `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 127.0.0.1
port: %d
healthzPort: %d
cgroupDriver: cgroupfs
cgroupRoot: /%s
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
resolvConf: %s
containerRuntimeEndpoint: unix://%s
podLogsDir: %s
volumePluginDir: %s
tlsCertFile: %s/apiserver.crt
tlsPrivateKeyFile: %[8]s/apiserver.key
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %[8]s/ca.crt}}
authorization: {mode: Webhook}
kubeAPIQPS: 100
kubeAPIBurst: 200
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi, nodefs.available: 1%%, imagefs.available: 1%%}
`, testbin.Port(t), testbin.Port(t), nodeGroup(index), n.path("resolv.conf"), socket, n.path("pod-logs"), n.path("volume-plugins"), pki))

	containerd := c.startPath(t, name+"-containerd", "/usr/bin/containerd", "--config", n.path("containerd.toml"))
	config, err := sandbox.Config{BinDir: c.bin, StateDir: n.path("sandbox")}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "images of "+name, func(ctx context.Context) error {
		_, err := images.Load(ctx, config, images.Target{Address: socket}, sandbox.ImagePause, sandbox.ImageGitcd)
		return err
	})
	n.component = c.start(t, name+"-kubelet", "kubelet", "--config="+n.path("kubelet.yaml"), "--kubeconfig="+n.path("kubelet.conf"),
		"--hostname-override="+name, "--node-ip=10.200.0.1", "--root-dir="+n.path("kubelet"), "--v=2")
	n.others = []*process{containerd}
	eventually(t, patience, name+" registers", func(ctx context.Context) error {
		_, err := n.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		return err
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer n.component.stop()
		every(ctx, 500*time.Millisecond, func(ctx context.Context) error { return n.observe(ctx, socket) })
	}()
	return n, done
}

// observe asks containerd what runs. The pause containers stand for their pods.
func (n *node) observe(ctx context.Context, socket string) error {
	ctr := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		out, err := exec.CommandContext(ctx, "ctr", append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...).Output()
		return string(out), err
	}
	tasks, err := ctr("tasks", "list")
	if err != nil {
		return err // it is dead or stands still
	}
	running := map[string]bool{} // container -> its task runs
	for s := bufio.NewScanner(strings.NewReader(tasks)); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) == 3 && f[2] == "RUNNING" {
			running[f[0]] = true
		}
	}
	out, err := ctr("containers", "list", "labels.\"io.cri-containerd.kind\"==container")
	if err != nil {
		return err
	}
	now := time.Now()
	up := map[types.UID]bool{}
	for s := bufio.NewScanner(strings.NewReader(out)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) == 0 || !running[f[0]] {
			continue
		}
		l, err := n.lifeOf(ctr, f[0])
		if err != nil {
			continue // it has gone meanwhile
		}
		up[l.UID] = true
		n.mu.Lock()
		if have := n.ran[l.UID]; have == nil {
			l.Began = now
			n.ran[l.UID] = l
		} else {
			have.Ended = time.Time{} // a container of it was started again
		}
		n.mu.Unlock()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for uid, l := range n.ran {
		if !up[uid] && l.Ended.IsZero() {
			l.Ended = now
		}
	}
	return nil
}

func (n *node) lifeOf(ctr func(...string) (string, error), container string) (*life, error) {
	n.mu.Lock()
	known := n.containers[container]
	n.mu.Unlock()
	if known != nil {
		return known, nil
	}
	out, err := ctr("containers", "info", container)
	if err != nil {
		return nil, err
	}
	label := func(name string) string {
		_, rest, _ := strings.Cut(out, `"io.kubernetes.pod.`+name+`": "`)
		value, _, _ := strings.Cut(rest, `"`)
		return value
	}
	l := &life{Node: n.name, Name: label("namespace") + "/" + label("name"), UID: types.UID(label("uid"))}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.containers == nil {
		n.containers = map[string]*life{}
	}
	n.containers[container] = l
	return l, nil
}
