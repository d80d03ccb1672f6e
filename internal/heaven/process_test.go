// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

const patience = 60 * time.Second

// cluster holds what pods mount, and where they are reached.
type cluster struct {
	t       *testing.T
	files   map[string]map[string][]byte // Secret or ConfigMap, key, content
	hubPort int
	ca      heaven.Authorities
}

// pod is a pod that runs as processes: its own command lines, files and certificates, in a directory of its own and on
// ports of its own.
type pod struct {
	c    *cluster
	name string
	dir  string
	to   *strings.Replacer
	// apiServer is the URL of its kube-apiserver.
	apiServer string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, files: map[string]map[string][]byte{}, hubPort: testbin.Port(t)}
	store := fake.NewClientBuilder().Build()
	_, err := pki.EnsureCluster(t.Context(), store, client.ObjectKey{Namespace: "default", Name: "blue"}, "", metav1.OwnerReference{Name: "blue"})
	if err != nil {
		t.Fatal(err)
	}
	secrets := &corev1.SecretList{}
	if err := store.List(t.Context(), secrets); err != nil {
		t.Fatal(err)
	}
	authority := func(name string) *pki.Authority {
		a, err := pki.ParseAuthority(&corev1.Secret{Data: c.files[name]})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for i := range secrets.Items {
		c.files[secrets.Items[i].Name] = secrets.Items[i].Data
	}
	c.ca = heaven.Authorities{Cluster: authority("blue-ca"), FrontProxy: authority("blue-proxy"), Git: authority("blue-git-ca")}
	return c
}

// newPod writes the files of a pod, with its own places instead of those in a container.
func (c *cluster) newPod(name string, o heaven.Objects, wishes []pki.Wish, certificates string) *pod {
	c.t.Helper()
	dir := c.t.TempDir()
	// Not the test's own directory: the path of a socket must be short.
	sockets, err := os.MkdirTemp("", "p")
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	port := func() string { return strconv.Itoa(testbin.Port(c.t)) }
	api := port()
	p := &pod{c: c, name: name, dir: dir, apiServer: "https://127.0.0.1:" + api, to: strings.NewReplacer(
		"/run/gitcd", sockets, "/etc/gitcd", dir+"/etc/gitcd", "/var/lib/gitcd", dir+"/var/lib/gitcd",
		"/etc/kubernetes", dir+"/etc/kubernetes", "/etc/trishanku", dir+"/etc/trishanku",
		"blue-hub.default.svc:8443", "127.0.0.1:"+strconv.Itoa(c.hubPort), ":8443", ":"+strconv.Itoa(c.hubPort),
		"6443", api, "10257", port(), "2381", port(), "0.0.0.0", "127.0.0.1", "$(POD_IP)", "192.0.2.1",
	)}
	bundle, err := pki.Renew(nil, wishes, time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	c.files[certificates] = bundle.Data
	c.files[o.ConfigMap.Name] = map[string][]byte{}
	for key, text := range o.ConfigMap.Data {
		c.files[o.ConfigMap.Name][key] = []byte(text)
	}
	spec := o.Deployment.Spec.Template.Spec
	mounts := map[string]string{}
	for _, container := range append(append([]corev1.Container{}, spec.InitContainers...), spec.Containers...) {
		for _, m := range container.VolumeMounts {
			mounts[m.Name] = strings.TrimSuffix(m.MountPath, "/"+m.SubPath)
		}
	}
	for _, v := range spec.Volumes {
		p.mount(v, mounts[v.Name])
	}
	return p
}

func (p *pod) mount(v corev1.Volume, path string) {
	p.c.t.Helper()
	at := p.to.Replace(path)
	if err := os.MkdirAll(at, 0o750); err != nil {
		p.c.t.Fatal(err)
	}
	write := func(source string, items []corev1.KeyToPath) {
		for _, item := range items {
			content, ok := p.c.files[source][item.Key]
			if !ok {
				p.c.t.Fatalf("pod %s mounts key %s of %s, which does not exist", p.name, item.Key, source)
			}
			text := p.to.Replace(string(content))
			if strings.HasPrefix(text, "-----BEGIN") {
				text = string(content)
			}
			if err := os.WriteFile(filepath.Join(at, item.Path), []byte(text), 0o600); err != nil {
				p.c.t.Fatal(err)
			}
		}
	}
	if v.Secret != nil {
		write(v.Secret.SecretName, v.Secret.Items)
	}
	if v.Projected != nil {
		for _, s := range v.Projected.Sources {
			if s.Secret != nil {
				write(s.Secret.Name, s.Secret.Items)
			}
			if s.ConfigMap != nil {
				write(s.ConfigMap.Name, s.ConfigMap.Items)
			}
		}
	}
}

// start runs one container for as long as the test.
func (p *pod) start(c corev1.Container) {
	p.c.t.Helper()
	cmd, log := p.command(c)
	if err := cmd.Start(); err != nil {
		p.c.t.Fatal(err)
	}
	p.c.t.Cleanup(func() {
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
		p.show(c.Name, log)
	})
}

// run waits for one container to end well.
func (p *pod) run(c corev1.Container) {
	p.c.t.Helper()
	cmd, log := p.command(c)
	if err := cmd.Run(); err != nil {
		p.c.t.Errorf("container %s of pod %s: %v", c.Name, p.name, err)
		p.show(c.Name, log)
		p.c.t.FailNow()
	}
}

func (p *pod) command(c corev1.Container) (cmd *exec.Cmd, log string) {
	p.c.t.Helper()
	args := make([]string, 0, len(c.Command))
	for _, arg := range c.Command {
		args = append(args, p.to.Replace(arg))
	}
	log = filepath.Join(p.dir, c.Name+".log")
	out, err := os.Create(log)
	if err != nil {
		p.c.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.c.t.Context()), 5*time.Minute)
	p.c.t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, testbin.Path(p.c.t, args[0]), args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd, log
}

func (p *pod) show(container, log string) {
	if !p.c.t.Failed() {
		return
	}
	if text, err := os.ReadFile(log); err == nil {
		p.c.t.Logf("container %s of pod %s said, at the end:\n%s", container, p.name, text[max(0, len(text)-3000):])
	}
}

// probe waits until a container's startup probe succeeds, as the kubelet does.
func (p *pod) probe(c corev1.Container) {
	p.c.t.Helper()
	g := NewWithT(p.c.t)
	if exec := c.StartupProbe.Exec; exec != nil {
		g.Eventually(func() error {
			cmd, _ := p.command(corev1.Container{Name: "probe", Command: exec.Command})
			return cmd.Run()
		}).WithTimeout(patience).WithPolling(200 * time.Millisecond).Should(Succeed())
		return
	}
	get := c.StartupProbe.HTTPGet
	url := p.to.Replace("https://127.0.0.1:" + get.Port.String() + get.Path)
	// The kubelet shows no certificate and asks for none.
	anonymous, err := rest.HTTPClientFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: true}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() error { return ask(p.c.t.Context(), anonymous, url) }).
		WithTimeout(patience).WithPolling(200 * time.Millisecond).Should(Succeed())
}

func ask(ctx context.Context, c *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	return nil
}

// startHeaven brings a heaven's pod up in its order.
func (c *cluster) startHeaven(h *heavenv1.TrishankuHeaven) *pod {
	c.t.Helper()
	in := heaven.Input{Heaven: h}
	var addresses []string
	if h.Spec.Component == nil {
		in.Endpoint = heavenv1.Endpoint{Host: "10.203.0.17", Port: 6443}
		addresses = []string{"10.203.0.17"}
	}
	o, err := heaven.ObjectsOf(in)
	if err != nil {
		c.t.Fatal(err)
	}
	wishes, err := heaven.Certificates(h, c.ca, addresses...)
	if err != nil {
		c.t.Fatal(err)
	}
	p := c.newPod(h.Name, o, wishes, heaven.CertificatesName(h.Name))
	spec := o.Deployment.Spec.Template.Spec
	for _, container := range spec.InitContainers {
		if container.RestartPolicy == nil {
			p.run(container)
			continue
		}
		p.start(container)
		p.probe(container)
	}
	for _, container := range spec.Containers {
		p.start(container)
		p.probe(container)
	}
	return p
}

// The pods' own command lines, files, certificates and probes, with the real programs: the hub, the front door and
// kube-controller-manager. What is written at the front door reaches the other through Git, and what that one writes
// comes back.
func TestPodsRunWithTheRealPrograms(t *testing.T) {
	g := NewWithT(t)
	c := newCluster(t)
	hcp := &controlplanev1.HeadlessControlPlane{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	hcp.Spec.Version = "v1.36.3"
	want, err := heaven.Set(&clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}, hcp)
	g.Expect(err).NotTo(HaveOccurred())

	o, err := heaven.HubObjects(heaven.HubInput{Merge: want.Merge})
	g.Expect(err).NotTo(HaveOccurred())
	hub := c.newPod("hub", o, heaven.HubCertificates(want.Merge, c.ca.Git), heaven.HubCertificatesName(want.Merge.Name))
	hub.start(o.Deployment.Spec.Template.Spec.Containers[0])
	frontDoor := c.startHeaven(want.FrontDoor)
	c.startHeaven(want.Components[0])

	config := &rest.Config{Host: frontDoor.apiServer, TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.Cluster.Cert}}
	stranger, err := rest.HTTPClientFor(config)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ask(t.Context(), stranger, frontDoor.apiServer+"/readyz")).To(Succeed())
	g.Expect(ask(t.Context(), stranger, frontDoor.apiServer+"/version")).To(MatchError(ContainSubstring("401")), "law 6: nothing but health without a certificate")

	admin, err := c.ca.Cluster.Issue(pki.Leaf{CommonName: "admin", Organizations: []string{"system:masters"}, Client: true}, time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	config.CertData, config.KeyData = admin.Cert, admin.Key
	people, err := kubernetes.NewForConfig(config)
	g.Expect(err).NotTo(HaveOccurred())
	_, err = people.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() error {
		_, err := people.CoreV1().ServiceAccounts("shop").Get(t.Context(), "default", metav1.GetOptions{})
		return err
	}).WithTimeout(patience).WithPolling(100*time.Millisecond).Should(Succeed(), "kube-controller-manager's answer, through Git")

	endpoints, err := people.DiscoveryV1().EndpointSlices("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(endpoints.Endpoints).To(HaveLen(1), "law 4: the front door's alone")
	g.Expect(endpoints.Endpoints[0].Addresses).To(Equal([]string{"10.203.0.17"}))
}
