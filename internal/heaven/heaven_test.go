// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

func frontDoor(t *testing.T) *heavenv1.TrishankuHeaven {
	t.Helper()
	return set(t, blue).FrontDoor
}

func objectsOf(t *testing.T, in Input) Objects {
	t.Helper()
	o, err := ObjectsOf(in)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Law 1.
func TestEqualInputEqualBytes(t *testing.T) {
	mounted := Content{"a": {"x": []byte("1"), "y": []byte("2")}, "b": {"x": []byte("3")}, "c": {}, "d": {"z": nil}}
	first := objectsOf(t, Input{Heaven: frontDoor(t), Mounted: mounted})
	for range 50 {
		again := objectsOf(t, Input{Heaven: frontDoor(t), Mounted: mounted})
		if !equality.Semantic.DeepEqual(first, again) {
			t.Fatal("two computations from the same input differ")
		}
	}
}

// Law 2.
func TestDigestFollowsContent(t *testing.T) {
	g := NewWithT(t)
	digest := func(mounted Content, change func(*heavenv1.TrishankuHeaven)) string {
		h := frontDoor(t)
		if change != nil {
			change(h)
		}
		return objectsOf(t, Input{Heaven: h, Mounted: mounted}).Deployment.Spec.Template.Annotations[DigestAnnotation]
	}
	base := digest(Content{"a": {"x": []byte("1")}}, nil)
	g.Expect(digest(Content{"a": {"x": []byte("1")}}, nil)).To(Equal(base))
	g.Expect(digest(Content{"a": {"x": []byte("2")}}, nil)).NotTo(Equal(base), "another value")
	g.Expect(digest(Content{"a": {"y": []byte("1")}}, nil)).NotTo(Equal(base), "another key")
	g.Expect(digest(Content{"ax": {"": []byte("1")}}, nil)).NotTo(Equal(base), "names do not run together")
	g.Expect(digest(Content{"a": {"x": []byte("1")}}, func(h *heavenv1.TrishankuHeaven) { h.Spec.Mode = heavenv1.ModeStrict })).
		NotTo(Equal(base), "gitcd's configuration")
}

// The first endpoint of a front door is its own Service's: telling it what it knows already must not restart it.
func TestFrontDoorIsNotRestartedByItsOwnEndpoint(t *testing.T) {
	g := NewWithT(t)
	own := heavenv1.Endpoint{Host: "10.203.0.17", Port: 6443}
	before := objectsOf(t, Input{Heaven: frontDoor(t), Endpoint: own})
	told := set(t, func() (*clusterv1.Cluster, *controlplanev1.HeadlessControlPlane) {
		cluster, hcp := blue()
		hcp.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: own.Host, Port: own.Port}
		return cluster, hcp
	}).FrontDoor
	g.Expect(objectsOf(t, Input{Heaven: told, Endpoint: told.Spec.APIServer.AdvertisedEndpoint})).To(Equal(before))
}

// Laws 3, 4 and 6, and what the Pod Security Standard "restricted" asks.
func TestPodsKeepTheLaws(t *testing.T) {
	for _, f := range []fixture{blue, rich} {
		for _, h := range set(t, f).Heavens() {
			t.Run(h.Name, func(t *testing.T) {
				g := NewWithT(t)
				d := objectsOf(t, Input{Heaven: h}).Deployment
				g.Expect(*d.Spec.Replicas).To(BeEquivalentTo(1))
				g.Expect(string(d.Spec.Strategy.Type)).To(Equal("Recreate"))

				pod := d.Spec.Template.Spec
				g.Expect(pod.InitContainers[0].Name).To(Equal("gitcd-init"))
				g.Expect(pod.InitContainers[1].Name).To(Equal("gitcd"))
				g.Expect(pod.SecurityContext.FSGroup).NotTo(BeNil())
				server := pod.Containers[0]
				if h.Spec.Component != nil {
					server = pod.InitContainers[2]
				}
				g.Expect(server.Name).To(Equal("kube-apiserver"))
				line := strings.Join(server.Command, "\n")
				if h.Spec.Component == nil {
					g.Expect(line).To(ContainSubstring("--endpoint-reconciler-type=lease"))
				} else {
					g.Expect(line).To(ContainSubstring("--endpoint-reconciler-type=none"))
					g.Expect(*pod.InitContainers[1].RestartPolicy).To(Equal(corev1.ContainerRestartPolicyAlways))
					g.Expect(*server.RestartPolicy).To(Equal(corev1.ContainerRestartPolicyAlways))
				}
				own := append([]corev1.Container{server}, pod.InitContainers[:2]...)
				for _, c := range own {
					g.Expect(*c.SecurityContext.RunAsNonRoot).To(BeTrue(), c.Name)
					g.Expect(*c.SecurityContext.ReadOnlyRootFilesystem).To(BeTrue(), c.Name)
					g.Expect(c.SecurityContext.Capabilities.Drop).To(ConsistOf(corev1.Capability("ALL")), c.Name)
				}
			})
		}
	}
}

func TestSetRefuses(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*clusterv1.Cluster, *controlplanev1.HeadlessControlPlane)
		want   string
	}{
		{"long name", func(c *clusterv1.Cluster, _ *controlplanev1.HeadlessControlPlane) { c.Name = strings.Repeat("a", 60) }, "the Cluster's name can have 53"},
		{"bad range", func(c *clusterv1.Cluster, _ *controlplanev1.HeadlessControlPlane) {
			c.Spec.ClusterNetwork.Services.CIDRBlocks = []string{"10.96"}
		}, "clusterNetwork.services"},
		{"two of one family", func(c *clusterv1.Cluster, _ *controlplanev1.HeadlessControlPlane) {
			c.Spec.ClusterNetwork.Pods.CIDRBlocks = []string{"10.1.0.0/16", "10.2.0.0/16"}
		}, "both ranges are of one IP family"},
		{"protected flag", func(_ *clusterv1.Cluster, h *controlplanev1.HeadlessControlPlane) {
			h.Spec.Components.APIServer.ExtraArgs = []heavenv1.Argument{{Name: "etcd-cafile", Value: "x"}}
		}, "set flag --etcd-cafile of kube-apiserver"},
		{"protected flag of a component", func(_ *clusterv1.Cluster, h *controlplanev1.HeadlessControlPlane) {
			h.Spec.Components.Scheduler.ExtraArgs = []heavenv1.Argument{{Name: "leader-elect", Value: "true"}}
		}, "set flag --leader-elect of kube-scheduler"},
		{"taken name", func(_ *clusterv1.Cluster, h *controlplanev1.HeadlessControlPlane) {
			h.Spec.Components.Additional = []controlplanev1.AdditionalComponent{{Name: "hub"}}
		}, "the name is taken"},
	} {
		t.Run(row.name, func(t *testing.T) {
			cluster, hcp := blue()
			row.change(cluster, hcp)
			_, err := Set(cluster, hcp)
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(row.want)))
		})
	}
}

// Law 5.
func TestReservedNames(t *testing.T) {
	for name, pod := range map[string]corev1.PodSpec{
		`names that begin with "gitcd"`:          {Containers: []corev1.Container{{Name: "gitcd-cache"}}},
		`names that begin with "kube-apiserver"`: {Containers: []corev1.Container{{Name: "a"}}, Volumes: []corev1.Volume{{Name: "kube-apiserver-pki"}}},
		"its template has no containers":         {},
	} {
		h := frontDoor(t)
		h.Spec.Component = &heavenv1.HeavenComponent{Name: "operator", Template: corev1.PodTemplateSpec{Spec: pod}}
		_, err := ObjectsOf(Input{Heaven: h})
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring(name)))
	}
}

func TestExtraArgsReplaceOurs(t *testing.T) {
	line := commandLine("p", []heavenv1.Argument{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}},
		[]heavenv1.Argument{{Name: "c", Value: "3"}, {Name: "a", Value: "4"}, {Name: "a", Value: "5"}})
	NewWithT(t).Expect(line).To(Equal([]string{"p", "--b=2", "--c=3", "--a=4", "--a=5"}))
}

func TestAClaimNeverShrinksNorChangesItsClass(t *testing.T) {
	g := NewWithT(t)
	have := &corev1.PersistentVolumeClaim{}
	have.Spec.StorageClassName = new("fast")
	have.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("8Gi")}
	h := frontDoor(t)

	c := objectsOf(t, Input{Heaven: h, Claim: have}).Claim
	g.Expect(*c.Spec.StorageClassName).To(Equal("fast"))
	g.Expect(c.Spec.Resources.Requests.Storage().String()).To(Equal("8Gi"))

	h.Spec.Storage = &heavenv1.Storage{PersistentVolumeClaim: &heavenv1.PersistentVolumeClaimStorage{Size: resource.MustParse("16Gi")}}
	g.Expect(objectsOf(t, Input{Heaven: h, Claim: have}).Claim.Spec.Resources.Requests.Storage().String()).To(Equal("16Gi"))
}

func TestCertificates(t *testing.T) {
	g := NewWithT(t)
	generated := &secret.Certificate{KeyEncryptionAlgorithm: bootstrapv1.EncryptionAlgorithmECDSAP256}
	g.Expect(generated.Generate()).To(Succeed())
	ca, err := pki.ParseAuthority(&corev1.Secret{Data: map[string][]byte{"tls.crt": generated.KeyPair.Cert, "tls.key": generated.KeyPair.Key}})
	g.Expect(err).NotTo(HaveOccurred())
	want := set(t, rich)

	wishes, err := Certificates(want.FrontDoor, Authorities{ca, ca, ca}, "api.blue.example.org", "10.203.0.17")
	g.Expect(err).NotTo(HaveOccurred())
	byName := map[string]pki.Leaf{}
	for _, w := range wishes {
		byName[w.Name] = w.Leaf
	}
	g.Expect(byName).To(HaveLen(4))
	g.Expect(byName["kube-apiserver"].DNSNames).To(ContainElements("api.blue.example.org", "kubernetes.default.svc.blue.local", "blue-apiserver.default.svc", "localhost"))
	g.Expect(byName["kube-apiserver"].IPs).To(ContainElements(
		WithTransform(net.IP.String, Equal("10.128.0.1")), WithTransform(net.IP.String, Equal("10.203.0.17")),
		WithTransform(net.IP.String, Equal("192.0.2.7")), WithTransform(net.IP.String, Equal("fd01::1"))))
	g.Expect(byName["hub-client"].CommonName).To(Equal("heavens/apiserver"))

	for _, h := range want.Components {
		wishes, err = Certificates(h, Authorities{ca, ca, ca})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(wishes).To(HaveLen(5))
		g.Expect(wishes[3].Leaf.CommonName).To(Equal(h.Spec.Branch))
		g.Expect(wishes[4].Server).To(Equal("https://127.0.0.1:6443"))
		g.Expect(wishes[4].Leaf.CommonName).To(Equal(h.Spec.Component.Kubeconfig.User))
	}
	bundle, err := pki.Renew(nil, HubCertificates(want.Merge, ca, "10.203.0.18", "192.0.2.9"), time.Now())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(bundle.Data).To(HaveKey("hub-admin.key"))
}

func TestLocate(t *testing.T) {
	node := func(name, address string, ready corev1.ConditionStatus) corev1.Node {
		return corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: address}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}},
		}}
	}
	nodes := []corev1.Node{node("n2", "192.0.2.2", corev1.ConditionTrue), node("n1", "192.0.2.1", corev1.ConditionTrue), node("n0", "192.0.2.0", corev1.ConditionFalse)}
	of := func(kind corev1.ServiceType, ip string, nodePort int32, ingress ...corev1.LoadBalancerIngress) *corev1.Service {
		return &corev1.Service{
			Spec:   corev1.ServiceSpec{Type: kind, ClusterIP: ip, Ports: []corev1.ServicePort{{Port: 8443, NodePort: nodePort}}},
			Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: ingress}},
		}
	}
	for _, row := range []struct {
		name         string
		service      *corev1.Service
		host, before string
		want         heavenv1.Endpoint
		addresses    []string
		why          string
	}{
		{name: "absent", why: "does not exist"},
		{name: "no address", service: of(corev1.ServiceTypeClusterIP, "", 0), why: "an address"},
		{name: "cluster IP", service: of(corev1.ServiceTypeClusterIP, "10.0.0.9", 0), want: heavenv1.Endpoint{Host: "10.0.0.9", Port: 8443}, addresses: []string{"10.0.0.9"}},
		{name: "node port", service: of(corev1.ServiceTypeNodePort, "10.0.0.9", 30001), want: heavenv1.Endpoint{Host: "192.0.2.1", Port: 30001}, addresses: []string{"10.0.0.9", "192.0.2.1"}},
		{name: "stays", service: of(corev1.ServiceTypeNodePort, "10.0.0.9", 30001), before: "192.0.2.2", want: heavenv1.Endpoint{Host: "192.0.2.2", Port: 30001}, addresses: []string{"10.0.0.9", "192.0.2.2"}},
		{name: "moves off a dead node", service: of(corev1.ServiceTypeNodePort, "10.0.0.9", 30001), before: "192.0.2.0", want: heavenv1.Endpoint{Host: "192.0.2.1", Port: 30001}, addresses: []string{"10.0.0.9", "192.0.2.1"}},
		{name: "named", service: of(corev1.ServiceTypeNodePort, "10.0.0.9", 30001), host: "hub.example.org", want: heavenv1.Endpoint{Host: "hub.example.org", Port: 30001}, addresses: []string{"10.0.0.9", "hub.example.org"}},
		{name: "no node port yet", service: of(corev1.ServiceTypeNodePort, "10.0.0.9", 0), addresses: []string{"10.0.0.9", "192.0.2.1"}, why: "a node port yet"},
		{name: "load balancer pending", service: of(corev1.ServiceTypeLoadBalancer, "10.0.0.9", 30001), addresses: []string{"10.0.0.9"}, why: "has no address yet"},
		{name: "load balancer", service: of(corev1.ServiceTypeLoadBalancer, "10.0.0.9", 30001, corev1.LoadBalancerIngress{Hostname: "lb"}), want: heavenv1.Endpoint{Host: "lb", Port: 8443}, addresses: []string{"10.0.0.9", "lb"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			g := NewWithT(t)
			l := Locate(row.service, nodes, row.host, row.before)
			g.Expect(l.External).To(Equal(row.want))
			g.Expect(l.Addresses).To(Equal(row.addresses))
			if row.why == "" {
				g.Expect(l.Why).To(BeEmpty())
			} else {
				g.Expect(l.Why).To(ContainSubstring(row.why))
			}
		})
	}
}
