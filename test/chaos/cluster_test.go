// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/yaml"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// cluster is a headless cluster of processes: a hub, and heavens that reach it
// over links of their own.
type cluster struct {
	t        *testing.T
	dir, bin string
	ca       *authority
	hub      *process
	hubAddr  string
	shipped  heaven.Want // what the provider would run
	tuning   tuning

	mu        sync.Mutex
	processes []*process
}

// tuning is where a cluster differs from what is shipped, so that a test need not wait for minutes.
type tuning struct {
	apiServer, manager []string // flags
	renew              time.Duration
	eager              bool          // leases do not wait for company
	dir                string        // to work in; empty: the test's own
	after, settle      time.Duration // of the hold on Nodes; zero as shipped
	addNode            func(*cluster, context.Context, *testing.T, int) (*node, <-chan struct{})
}

// shippedTuning leaves all as it is; the kubelet renews its lease every 10 s.
func shippedTuning() tuning { return tuning{renew: 10 * time.Second, addNode: (*cluster).addHollow} }

func newCluster(t *testing.T, tune tuning) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: tune.dir, bin: testbin.Dir(t, "gitcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"), tuning: tune}
	if c.dir == "" {
		c.dir = t.TempDir()
	}
	t.Cleanup(c.keep)
	hcp := &controlplanev1.HeadlessControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	hcp.Spec.Version = "v1.36.3"
	var err error
	if c.shipped, err = heaven.Set(&clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}, hcp); err != nil {
		t.Fatal(err)
	}
	c.ca = newAuthority(t, c.path("pki"))
	c.ca.serviceAccountKeys(t)
	for _, leaf := range [][]string{{"hub", "hub"}, {"apiserver", "kube-apiserver"}, {"admin", "admin", "system:masters"}} {
		c.ca.leaf(t, leaf[0], leaf[1], leaf[2:]...)
	}
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	write(t, c.path("encryption.yaml"), fmt.Appendf(nil, `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers: [{secretbox: {keys: [{name: k1, secret: %s}]}}, {identity: {}}]
`, key))
	c.hubAddr = fmt.Sprintf("127.0.0.1:%d", testbin.Port(t))
	write(t, c.path("hub.yaml"), fmt.Appendf(nil, `apiVersion: gitcd.trishanku.org/v1alpha1
kind: Config
repository: %s
hub:
  listen: %q
  tls: {certFile: %[3]s/hub.crt, keyFile: %[3]s/hub.key, clientCAFile: %[3]s/ca.crt}
`, c.path("hub.git"), c.hubAddr, c.path("pki")))
	t.Cleanup(c.end)
	c.hub = c.start(t, "hub", "gitcd", "hub", "--config", c.path("hub.yaml"))
	return c
}

// end kills everything, the last that was started first.
func (c *cluster) end() {
	for _, p := range slices.Backward(c.processes) {
		p.end()
	}
}

func (c *cluster) path(elem ...string) string {
	return filepath.Join(append([]string{c.dir}, elem...)...)
}

// member is a heaven: a gitcd with its kube-apiserver, and the component beside them.
type member struct {
	c         *cluster
	name      string // as in processes and directories
	branch    string
	port      int
	link      *link
	gitcd     *process
	kube      *process
	component *process // nil at the front door and on hollow nodes
	others    []*process
	client    *kubernetes.Clientset
}

// join starts a heaven and waits until its kube-apiserver is ready.
func (c *cluster) join(t *testing.T, branch string) *member {
	t.Helper()
	port, reconciler, more := testbin.Port(t), "none", ""
	if branch == "heavens/apiserver" {
		reconciler = "lease"
		more = fmt.Sprintf("genesis: {readyURL: \"https://127.0.0.1:%d/readyz\", caFile: %[2]s/ca.crt, certFile: %[2]s/admin.crt, keyFile: %[2]s/admin.key}\n", port, c.path("pki"))
	}
	m := c.enter(t, branch, more)
	m.port = port
	m.kube = c.start(t, m.name+"-kube-apiserver", "kube-apiserver", m.apiServerArgs(reconciler)...)
	m.client = m.connect(t, "admin")
	eventually(t, patience, "kube-apiserver of "+m.name, func(ctx context.Context) error {
		return m.client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
	return m
}

// enter starts the gitcd of a heaven; more is of its configuration.
func (c *cluster) enter(t *testing.T, branch, more string) *member {
	t.Helper()
	m := &member{c: c, name: filepath.Base(branch), branch: branch, link: newLink(t, c.hubAddr)}
	c.ca.leaf(t, m.name, branch)
	more += m.holds(t)
	if c.tuning.eager {
		more += "grains: [{prefix: /registry/leases/kube-node-lease/, grain: Full}]\n"
	}
	write(t, m.path("gitcd.yaml"), fmt.Appendf(nil, `apiVersion: gitcd.trishanku.org/v1alpha1
kind: Config
repository: %s
branch: %s
listeners: [{url: "unix://%s"}]
events: {listeners: [{url: "unix://%s"}]}
upstream: {url: "https://%s", caFile: %s, certFile: %s.crt, keyFile: %[7]s.key}
%s`, m.path("repository.git"), branch, m.path("g.sock"), m.path("e.sock"), m.link.addr(), c.path("pki", "ca.crt"), c.path("pki", m.name), more))
	c.run(t, "gitcd", "init", "--config", m.path("gitcd.yaml"))
	m.gitcd = c.start(t, m.name+"-gitcd", "gitcd", "serve", "--config", m.path("gitcd.yaml"))
	eventually(t, patience, "gitcd of "+m.name, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", m.path("g.sock"))
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return m
}

func (m *member) path(elem ...string) string {
	return m.c.path(append([]string{m.name}, elem...)...)
}

func (m *member) apiServerArgs(reconciler string) []string {
	pki := m.c.path("pki")
	return append([]string{
		"--etcd-servers=unix://" + m.path("g.sock"),
		"--etcd-servers-overrides=/events#unix://" + m.path("e.sock"),
		"--storage-media-type=application/json",
		"--encryption-provider-config=" + m.c.path("encryption.yaml"),
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", m.port),
		"--tls-cert-file=" + pki + "/apiserver.crt", "--tls-private-key-file=" + pki + "/apiserver.key",
		"--client-ca-file=" + pki + "/ca.crt",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki + "/sa.pub", "--service-account-signing-key-file=" + pki + "/sa.key",
		"--service-cluster-ip-range=10.96.0.0/16", "--enable-admission-plugins=NodeRestriction",
		"--authorization-mode=Node,RBAC", "--endpoint-reconciler-type=" + reconciler,
	}, m.c.tuning.apiServer...)
}

// connect returns a client with the certificate of that name.
func (m *member) connect(t *testing.T, certificate string) *kubernetes.Clientset {
	t.Helper()
	pki := m.c.path("pki")
	client, err := kubernetes.NewForConfig(&rest.Config{
		Host:            fmt.Sprintf("https://127.0.0.1:%d", m.port),
		TLSClientConfig: rest.TLSClientConfig{CAFile: pki + "/ca.crt", CertFile: pki + "/" + certificate + ".crt", KeyFile: pki + "/" + certificate + ".key"},
		QPS:             -1,
		Timeout:         requestTimeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// holds are those that the provider gives this heaven, as lines of gitcd's configuration.
func (m *member) holds(t *testing.T) string {
	t.Helper()
	spec := m.spec()
	if spec == nil {
		return "" // a node
	}
	o, err := heaven.ObjectsOf(heaven.Input{Heaven: spec, Endpoint: heavenv1.Endpoint{Host: "192.0.2.1", Port: 6443}})
	if err != nil {
		t.Fatal(err)
	}
	var config gitcdv1.Config
	for _, text := range o.ConfigMap.Data {
		if strings.Contains(text, gitcdv1.APIVersion) {
			if err := yaml.Unmarshal([]byte(text), &config); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(config.Holds) == 0 {
		return ""
	}
	for i := range config.Holds {
		config.Holds[i].After.Duration = cmp.Or(m.c.tuning.after, config.Holds[i].After.Duration)
		config.Holds[i].Settle.Duration = cmp.Or(m.c.tuning.settle, config.Holds[i].Settle.Duration)
	}
	text, err := json.Marshal(config.Holds)
	if err != nil {
		t.Fatal(err)
	}
	return "holds: " + string(text) + "\n"
}

// run starts the component of a heaven with the command line that the provider
// gives it; more flags go after, and count.
func (m *member) run(t *testing.T, more ...string) {
	t.Helper()
	pki, kubeconfig := m.c.path("pki"), m.path("kubeconfig")
	m.c.ca.leaf(t, "user-"+m.name, "system:"+m.name)
	write(t, kubeconfig, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:%d", certificate-authority: %s/ca.crt}}]
users: [{name: u, user: {client-certificate: %[2]s/user-%[3]s.crt, client-key: %[2]s/user-%[3]s.key}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, m.port, pki, m.name))
	places := strings.NewReplacer(heaven.DefaultKubeconfigPath, kubeconfig, "/etc/kubernetes/pki", pki, "0.0.0.0", "127.0.0.1")
	command := m.spec().Spec.Component.Template.Spec.Containers[0].Command
	args := []string{}
	for _, arg := range command[1:] {
		args = append(args, places.Replace(arg))
	}
	args = append(args, fmt.Sprintf("--secure-port=%d", testbin.Port(t)))
	m.component = m.c.start(t, m.name, command[0], append(args, more...)...)
}

// spec is what the provider computes for this heaven, nil if it is a node's.
func (m *member) spec() *heavenv1.TrishankuHeaven {
	for _, h := range m.c.shipped.Heavens() {
		if h.Spec.Branch == m.branch {
			return h
		}
	}
	return nil
}

// tree returns the tree of a branch, as stock Git sees it beside a running gitcd.
func tree(ctx context.Context, dir, branch string) (string, error) {
	out, err := git(ctx, dir, "rev-parse", branch+"^{tree}")
	return strings.TrimSpace(out), err
}
