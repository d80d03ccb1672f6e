// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package machine

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/bootstrap"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// plane is the control plane of a headless cluster as processes in the host's
// network namespace: a hub, a front door, kube-controller-manager, kube-scheduler.
type plane struct {
	t        *testing.T
	dir, bin string
	hub      *exec.Cmd
	ca       bootstrap.Authorities
	shared   bootstrap.Shared
}

const (
	hubPort = 9443
	issuer  = "https://kubernetes.default.svc.cluster.local"
)

func binaries(t *testing.T) string {
	t.Helper()
	return testbin.Dir(t, append(Binaries(), "kube-controller-manager", "kube-scheduler", "pause", "agnhost")...)
}

func newPlane(t *testing.T) *plane {
	t.Helper()
	p := &plane{t: t, dir: t.TempDir(), bin: binaries(t)}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).Build()
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "test", UID: "test"}
	if _, err := pki.EnsureCluster(t.Context(), c, client.ObjectKey{Namespace: "default", Name: "blue"}, "", owner); err != nil {
		t.Fatal(err)
	}
	names := pki.DefaultNames("blue")
	secret := func(name string) *corev1.Secret {
		s := &corev1.Secret{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, ca := range map[string]**pki.Authority{names.ClusterCA: &p.ca.Cluster, names.FrontProxyCA: &p.ca.FrontProxy, names.GitCA: &p.ca.Git} {
		var err error
		if *ca, err = pki.ParseAuthority(secret(name)); err != nil {
			t.Fatal(err)
		}
	}
	sa := secret(names.ServiceAccount)
	p.shared = bootstrap.Shared{
		ClusterCA: p.ca.Cluster.Cert, FrontProxyCA: p.ca.FrontProxy.Cert, GitCA: p.ca.Git.Cert,
		ServiceAccount: pki.KeyPair{Cert: sa.Data["tls.crt"], Key: sa.Data["tls.key"]},
		Encryption:     secret(names.Encryption).Data[pki.EncryptionConfigKey],
	}
	for name, content := range map[string][]byte{
		"ca.crt": p.ca.Cluster.Cert, "ca.key": p.ca.Cluster.Key, "git-ca.crt": p.ca.Git.Cert,
		"sa.pub": p.shared.ServiceAccount.Cert, "sa.key": p.shared.ServiceAccount.Key, "encryption.yaml": p.shared.Encryption,
	} {
		p.write(name, content)
	}
	p.startHub()
	return p
}

func (p *plane) path(name string) string { return filepath.Join(p.dir, name) }

func (p *plane) write(name string, content []byte) {
	p.t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o700); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(p.path(name), content, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// certify makes certificates and writes their files.
func (p *plane) certify(wishes ...pki.Wish) {
	p.t.Helper()
	bundle, err := pki.Renew(nil, wishes, time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	for name, content := range bundle.Data {
		p.write(name, content)
	}
}

// start runs a program in the host's network namespace until the test ends.
func (p *plane) start(name, program string, args ...string) *exec.Cmd {
	p.t.Helper()
	log, err := os.Create(p.path(name + ".log"))
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command("nsenter", append([]string{"--net=/run/netns/" + hostNS, filepath.Join(p.bin, program)}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if p.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			lines := strings.Split(string(text), "\n")
			p.t.Logf("the end of the log of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-15):], "\n"))
		}
	})
	return cmd
}

func (p *plane) startHub() {
	p.certify(pki.Wish{Name: "hub", Authority: p.ca.Git, Leaf: pki.Leaf{CommonName: "hub", IPs: []net.IP{net.ParseIP(hubAddr)}, Server: true}})
	p.write("hub.yaml", fmt.Appendf(nil, `apiVersion: gitcd.trishanku.org/v1alpha1
kind: Config
repository: %[1]s/hub.git
hub:
  listen: "%[2]s:%[3]d"
  tls: {certFile: %[1]s/hub.crt, keyFile: %[1]s/hub.key, clientCAFile: %[1]s/git-ca.crt}
`, p.dir, hubAddr, hubPort))
	p.hub = p.start("hub", "gitcd", "hub", "--config", p.path("hub.yaml"))
}

// heaven starts gitcd and kube-apiserver on a port and waits until they are ready.
func (p *plane) heaven(name string, port int) {
	p.t.Helper()
	names, err := pki.APIServerNames([]string{"10.96.0.0/16"}, "cluster.local", hubAddr)
	if err != nil {
		p.t.Fatal(err)
	}
	server := fmt.Sprintf("https://127.0.0.1:%d", port)
	p.certify(
		pki.Wish{Name: name, Authority: p.ca.Git, Leaf: pki.Leaf{CommonName: "heavens/" + name, Client: true}},
		pki.Wish{Name: name + "-api", Authority: p.ca.Cluster, Leaf: pki.Leaf{CommonName: "kube-apiserver", DNSNames: names.DNS, IPs: names.IPs, Server: true}},
		pki.Wish{Name: name + "-admin", Authority: p.ca.Cluster, Server: server, Leaf: pki.Leaf{CommonName: "admin", Organizations: []string{"system:masters"}, Client: true}},
	)
	genesis, reconciler := "", "none"
	if name == "apiserver" {
		genesis = fmt.Sprintf("genesis: {readyURL: %q, caFile: %s}\n", server+"/readyz", p.path("ca.crt"))
		reconciler = "lease"
	}
	p.write(name+".yaml", fmt.Appendf(nil, `apiVersion: gitcd.trishanku.org/v1alpha1
kind: Config
repository: %[1]s/%[2]s.git
branch: heavens/%[2]s
listeners: [{url: "unix://%[1]s/%[2]s.sock"}]
events: {listeners: [{url: "unix://%[1]s/%[2]s-events.sock"}]}
upstream: {url: "https://%[3]s:%[4]d", caFile: %[1]s/git-ca.crt, certFile: %[1]s/%[2]s.crt, keyFile: %[1]s/%[2]s.key}
%[5]s`, p.dir, name, hubAddr, hubPort, genesis))
	if err := p.start(name+"-init", "gitcd", "init", "--config", p.path(name+".yaml")).Wait(); err != nil {
		p.t.Fatalf("gitcd init of %s: %v", name, err)
	}
	p.start(name+"-gitcd", "gitcd", "serve", "--config", p.path(name+".yaml"))
	p.start(name+"-kube-apiserver", "kube-apiserver",
		"--etcd-servers=unix://"+p.path(name+".sock"), "--etcd-servers-overrides=/events#unix://"+p.path(name+"-events.sock"),
		"--storage-media-type=application/json", "--encryption-provider-config="+p.path("encryption.yaml"),
		"--bind-address=0.0.0.0", "--advertise-address="+hubAddr, fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file="+p.path(name+"-api.crt"), "--tls-private-key-file="+p.path(name+"-api.key"), "--client-ca-file="+p.path("ca.crt"),
		"--service-account-issuer="+issuer, "--service-account-key-file="+p.path("sa.pub"), "--service-account-signing-key-file="+p.path("sa.key"),
		"--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--endpoint-reconciler-type="+reconciler, "--allow-privileged=true",
		"--kubelet-client-certificate="+p.path(name+"-admin.crt"), "--kubelet-client-key="+p.path(name+"-admin.key"),
		"--kubelet-certificate-authority="+p.path("ca.crt"), "--kubelet-preferred-address-types=InternalIP")
	eventually(p.t, "kube-apiserver of "+name, func() error {
		_, err := p.kubectl(name, "get", "--raw", "/readyz")
		return err
	})
}

// component starts a component of Kubernetes beside its heaven.
func (p *plane) component(name string, port int, args ...string) {
	p.heaven(name, port)
	p.certify(pki.Wish{Name: name + "-client", Authority: p.ca.Cluster, Server: fmt.Sprintf("https://127.0.0.1:%d", port), Leaf: pki.Leaf{CommonName: "system:" + name, Client: true}})
	kubeconfig := "=" + p.path(name+"-client.conf")
	p.start(name, name, append([]string{
		"--kubeconfig" + kubeconfig, "--authentication-kubeconfig" + kubeconfig, "--authorization-kubeconfig" + kubeconfig,
		"--leader-elect=false", "--bind-address=127.0.0.1", "--secure-port=1" + fmt.Sprint(port),
	}, args...)...)
}

// kubectl asks one heaven.
func (p *plane) kubectl(heaven string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{
		"--net=/run/netns/" + hostNS, filepath.Join(p.bin, "kubectl"), "--kubeconfig", p.path(heaven + "-admin.conf"),
	}, args...)...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, stderr.String())
	}
	return out.String(), nil
}

// userData is what HeadlessConfig would write.
func (p *plane) userData(node string) []byte {
	p.t.Helper()
	in := &bootstrap.Input{
		Cluster: "blue", NodeName: node, ProviderID: "headless://default/" + node, Version: "v1.36.3",
		Network: bootstrap.Network{ServiceCIDRs: []string{"10.96.0.0/16"}, PodCIDRs: []string{"10.244.0.0/16"}, ServiceDomain: "cluster.local", Issuer: issuer},
		Hub:     bootstrap.Hub{URL: fmt.Sprintf("https://%s:%d", hubAddr, hubPort)},
		Shared:  p.shared,
		Labels:  map[string]string{"example.org/made-by": "test"},
	}
	wishes, err := bootstrap.Certificates(in, p.ca)
	if err != nil {
		p.t.Fatal(err)
	}
	bundle, err := pki.Renew(nil, wishes, time.Now())
	if err != nil {
		p.t.Fatal(err)
	}
	in.Certificates = bundle.Data
	data, err := bootstrap.UserData(in)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}
