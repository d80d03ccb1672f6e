// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedmachine_test

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	bootstrapv1 "github.com/trishanku-org/cluster-api-provider-headless/api/bootstrap/v1alpha1"
	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/gitbackedcluster"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/gitbackedmachine"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/gitrepository"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/headlessconfig"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

const patience = 60 * time.Second

// manager is a provider's: with the rights of its release, and Secrets are read from the API server, not from a cache.
func manager(t *testing.T, admin *rest.Config, provider string) ctrl.Manager {
	t.Helper()
	mgr, err := ctrl.NewManager(hosttest.As(t, admin, provider), ctrl.Options{
		Scheme: hosttest.Scheme(t), Metrics: server.Options{BindAddress: "0"},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return mgr
}

func meta(name string, owners ...metav1.OwnerReference) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{clusterv1.ClusterNameLabel: "blue"}, OwnerReferences: owners}
}

func ownedBy(kind string, o client.Object) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: clusterv1.GroupVersion.String(), Kind: kind, Name: o.GetName(), UID: o.GetUID()}
}

// TestWorkerOnARealAPIServer plays Cluster API's core, by hand, for a worker: from the Cluster's infrastructure to a Node
// and back to nothing, with schemas, defaults, and the rights of the release.
func TestWorkerOnARealAPIServer(t *testing.T) {
	ctrl.SetLogger(klog.Background())
	config := hosttest.APIServer(t)
	c, err := client.New(config, client.Options{Scheme: hosttest.Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	mgr := manager(t, config, "infrastructure")
	hosttest.Run(t, mgr, controller.Options{}, &gitrepository.Reconciler{Client: mgr.GetClient()},
		&gitbackedcluster.Reconciler{Client: mgr.GetClient()}, &gitbackedmachine.Reconciler{Client: mgr.GetClient()})
	mgr = manager(t, config, "bootstrap")
	hosttest.Run(t, mgr, controller.Options{}, &headlessconfig.Reconciler{Client: mgr.GetClient()})
	g, ctx := NewWithT(t), t.Context()
	read := func(o client.Object) func() error {
		return func() error { return c.Get(ctx, client.ObjectKeyFromObject(o), o) }
	}
	gone := func(o client.Object) func() bool { return func() bool { return apierrors.IsNotFound(read(o)()) } }

	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	cluster.Spec.ControlPlaneRef = clusterv1.ContractVersionedObjectReference{APIGroup: controlplanev1.GroupVersion.Group, Kind: "HeadlessControlPlane", Name: "blue"}
	cluster.Spec.InfrastructureRef = clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "GitBackedCluster", Name: "blue"}
	g.Expect(c.Create(ctx, cluster)).To(Succeed())

	// The Cluster's infrastructure.
	infra := &infrav1.GitBackedCluster{ObjectMeta: meta("blue", ownedBy("Cluster", cluster))}
	g.Expect(c.Create(ctx, infra)).To(Succeed())
	g.Eventually(func() *bool { _ = read(infra)(); return infra.Status.Initialization.Provisioned }).WithTimeout(patience).Should(HaveValue(BeTrue()))
	cluster.Status.Initialization.InfrastructureProvisioned = new(true)
	cluster.Status.Initialization.ControlPlaneInitialized = new(true)
	g.Expect(c.Status().Update(ctx, cluster)).To(Succeed())

	// A worker, as a MachineSet makes it, with the owners that core sets.
	machine := &clusterv1.Machine{ObjectMeta: meta("worker"), Spec: clusterv1.MachineSpec{
		ClusterName:       "blue",
		Bootstrap:         clusterv1.Bootstrap{ConfigRef: clusterv1.ContractVersionedObjectReference{APIGroup: bootstrapv1.GroupVersion.Group, Kind: "HeadlessConfig", Name: "worker"}},
		InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "GitBackedMachine", Name: "worker"},
	}}
	g.Expect(c.Create(ctx, machine)).To(Succeed())
	computer := &infrav1.GitBackedMachine{ObjectMeta: meta("worker", ownedBy("Machine", machine)), Spec: infrav1.GitBackedMachineSpec{External: &infrav1.ExternalMachine{}}}
	boot := &bootstrapv1.HeadlessConfig{ObjectMeta: meta("worker", ownedBy("Machine", machine))}
	boot.Spec.Labels = map[string]string{"example.org/zone": "a"}
	g.Expect(c.Create(ctx, computer)).To(Succeed())
	g.Expect(c.Create(ctx, boot)).To(Succeed())
	why := func() string { _ = read(boot)(); return conditions.GetReason(boot, bootstrapv1.ConditionReady) }
	g.Eventually(why).WithTimeout(patience).Should(Equal(headlessconfig.ReasonWaitingForHub))

	// The control plane: its hub has an address, its Secrets come a little later.
	merge := &heavenv1.AutomatedMerge{ObjectMeta: meta("blue"), Spec: heavenv1.AutomatedMergeSpec{ClusterName: "blue"}}
	g.Expect(c.Create(ctx, merge)).To(Succeed())
	merge.Status.Endpoint.External = heavenv1.Endpoint{Host: "192.0.2.1", Port: 30443}
	g.Expect(c.Status().Update(ctx, merge)).To(Succeed())
	plane := &controlplanev1.HeadlessControlPlane{ObjectMeta: meta("blue")}
	plane.Spec.Version = "v1.36.3"
	g.Expect(c.Create(ctx, plane)).To(Succeed())
	g.Eventually(why).WithTimeout(patience).Should(Equal(headlessconfig.ReasonWaitingFor))
	owner := metav1.OwnerReference{APIVersion: controlplanev1.GroupVersion.String(), Kind: "HeadlessControlPlane", Name: "blue", UID: plane.UID}
	_, err = pki.EnsureCluster(ctx, c, client.ObjectKeyFromObject(cluster), "", owner)
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(why).WithTimeout(patience).Should(Equal(headlessconfig.ReasonDataSecretAvailable))
	data := &corev1.Secret{ObjectMeta: meta("worker")}
	g.Expect(read(data)()).To(Succeed())
	// Conditions are patched before the rest of a status.
	g.Eventually(func() string { _ = read(boot)(); return boot.Status.DataSecretName }).WithTimeout(patience).Should(Equal(data.Name))
	g.Expect(string(data.Data["value"])).To(HavePrefix("#cloud-config\n"))
	g.Expect(string(data.Data["value"])).To(ContainSubstring("providerID: headless://default/worker"))

	// Somebody has to run it; then a Node comes.
	g.Expect(read(machine)()).To(Succeed())
	machine.Spec.Bootstrap.DataSecretName = new(data.Name)
	g.Expect(c.Update(ctx, machine)).To(Succeed())
	ready := func() metav1.Condition {
		_ = read(computer)()
		if got := conditions.Get(computer, infrav1.MachineReady); got != nil {
			return *got
		}
		return metav1.Condition{}
	}
	g.Eventually(ready).WithTimeout(patience).Should(HaveField("Message", ContainSubstring("Secret default/worker (key value) on a machine that reaches 192.0.2.1:30443")))
	g.Eventually(func() *bool { _ = read(computer)(); return computer.Status.Initialization.Provisioned }).WithTimeout(patience).Should(HaveValue(BeTrue()))
	g.Expect(computer.Spec.ProviderID).To(Equal("headless://default/worker"))
	machine.Status.NodeRef = clusterv1.MachineNodeReference{Name: "worker"}
	g.Expect(c.Status().Update(ctx, machine)).To(Succeed())
	g.Eventually(ready).WithTimeout(patience).Should(HaveField("Status", metav1.ConditionTrue))

	// At rest nothing is written any more.
	versions := func() string {
		var all []string
		for _, o := range []client.Object{infra, computer, boot, data, &heavenv1.GitRepository{ObjectMeta: meta("blue")}} {
			g.Expect(read(o)()).To(Succeed())
			all = append(all, o.GetResourceVersion())
		}
		return strings.Join(all, " ")
	}
	g.Eventually(func() bool { before := versions(); time.Sleep(time.Second); return before == versions() }).WithTimeout(patience).Should(BeTrue())

	// Back to nothing, in core's order.
	events := func() (string, error) {
		list := &corev1.EventList{}
		err := c.List(ctx, list, client.InNamespace("default"))
		var all []string
		for i := range list.Items {
			all = append(all, list.Items[i].Reason)
		}
		return strings.Join(all, " "), err
	}
	g.Expect(c.Delete(ctx, computer)).To(Succeed())
	g.Eventually(gone(computer)).WithTimeout(patience).Should(BeTrue())
	g.Expect(c.Delete(ctx, boot)).To(Succeed())
	g.Eventually(gone(boot)).WithTimeout(patience).Should(BeTrue())
	g.Expect(c.Delete(ctx, infra)).To(Succeed())
	g.Eventually(gone(infra)).WithTimeout(patience).Should(BeTrue())
	g.Expect(gone(&heavenv1.GitRepository{ObjectMeta: meta("blue")})()).To(BeTrue())
	g.Eventually(events).WithTimeout(patience).Should(And(ContainSubstring("RepositoryCreated"), ContainSubstring("DataSecretCreated"),
		ContainSubstring("UserDataReady"), ContainSubstring("MachineReleased")))
}
