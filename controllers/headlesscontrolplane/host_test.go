// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane_test

import (
	"context"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/automatedmerge"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/headlesscontrolplane"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/trishankuheaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
)

const patience = 60 * time.Second

type hubs struct{}

func (hubs) Status(context.Context, automatedmerge.HubAddress) (automatedmerge.HubStatus, error) {
	s := automatedmerge.HubStatus{Main: "2a1c"}
	for _, branch := range []string{"heavens/apiserver", "heavens/kube-controller-manager", "heavens/kube-scheduler"} {
		s.Branches = append(s.Branches, automatedmerge.HubBranch{Name: branch, Head: "2a1c", Epoch: 1, Merged: new(true)})
	}
	return s, nil
}

type prober struct{}

func (prober) Ready(context.Context, []byte) error { return nil }

// startControllers runs the three controllers as the manager does.
func startControllers(t *testing.T, config *rest.Config) {
	t.Helper()
	ctrl.SetLogger(klog.Background())
	mgr, err := ctrl.NewManager(config, ctrl.Options{Scheme: hosttest.Scheme(t), Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	c, now := mgr.GetClient(), clock.RealClock{}
	hosttest.Run(t, mgr, controller.Options{MaxConcurrentReconciles: 4},
		&headlesscontrolplane.Reconciler{Client: c, Clock: now, Recorder: mgr.GetEventRecorder("hcp"), Prober: prober{}},
		&trishankuheaven.Reconciler{Client: c, Clock: now, Recorder: mgr.GetEventRecorder("heaven")},
		&automatedmerge.Reconciler{Client: c, Clock: now, Recorder: mgr.GetEventRecorder("merge"), Hubs: hubs{}},
	)
}

// runDeployments does what a host cluster would: it says of each Deployment that its pod is ready.
func runDeployments(ctx context.Context, c client.Client) error {
	list := &appsv1.DeploymentList{}
	if err := c.List(ctx, list, client.InNamespace("default")); err != nil {
		return err
	}
	for i := range list.Items {
		d := &list.Items[i]
		want := appsv1.DeploymentStatus{
			ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1,
		}
		if d.Status.ObservedGeneration == want.ObservedGeneration && d.Status.AvailableReplicas == 1 {
			continue
		}
		d.Status = want
		if err := c.Status().Update(ctx, d); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// versions are the resourceVersions of all that the controllers write, but for events.
func versions(t *testing.T, c client.Client) map[string]string {
	t.Helper()
	found := map[string]string{}
	for kind, list := range map[string]client.ObjectList{
		"hcp": &controlplanev1.HeadlessControlPlaneList{}, "heaven": &heavenv1.TrishankuHeavenList{}, "merge": &heavenv1.AutomatedMergeList{},
		"deployment": &appsv1.DeploymentList{}, "service": &corev1.ServiceList{}, "claim": &corev1.PersistentVolumeClaimList{},
		"config": &corev1.ConfigMapList{}, "secret": &corev1.SecretList{},
	} {
		if err := c.List(t.Context(), list, client.InNamespace("default")); err != nil {
			t.Fatal(err)
		}
		objects, err := runtime.DefaultUnstructuredConverter.ToUnstructured(list)
		if err != nil {
			t.Fatal(err)
		}
		items, _ := objects["items"].([]any)
		for _, item := range items {
			meta, _ := item.(map[string]any)["metadata"].(map[string]any)
			found[kind+" "+meta["name"].(string)] = meta["resourceVersion"].(string)
		}
	}
	return found
}

// A whole control plane, created, at rest and deleted, against a real API server with its defaults, schemas and
// server-side apply.
func TestControlPlaneOnARealAPIServer(t *testing.T) {
	config := hosttest.APIServer(t)
	c, err := client.New(config, client.Options{Scheme: hosttest.Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	g := NewWithT(t)
	startControllers(t, hosttest.As(t, config, "controlplane"))
	ctx := t.Context()

	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "blue"}}
	cluster.Spec.ControlPlaneRef = clusterv1.ContractVersionedObjectReference{
		APIGroup: controlplanev1.GroupVersion.Group, Kind: "HeadlessControlPlane", Name: "blue",
	}
	g.Expect(c.Create(ctx, cluster)).To(Succeed())
	hcp := &controlplanev1.HeadlessControlPlane{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "blue", Labels: map[string]string{clusterv1.ClusterNameLabel: "blue"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: "blue", UID: cluster.UID}},
	}}
	hcp.Spec.Version = "v1.36.3"
	g.Expect(c.Create(ctx, hcp)).To(Succeed())
	condition := func(kind string) func() metav1.Condition {
		return func() metav1.Condition {
			if err := runDeployments(ctx, c); err != nil {
				return metav1.Condition{Message: err.Error()}
			}
			have := &controlplanev1.HeadlessControlPlane{}
			if err := c.Get(ctx, client.ObjectKeyFromObject(hcp), have); err != nil {
				return metav1.Condition{Message: err.Error()}
			}
			if got := conditions.Get(have, kind); got != nil {
				return *got
			}
			return metav1.Condition{}
		}
	}
	g.Eventually(condition(controlplanev1.ConditionAvailable)).WithTimeout(patience).
		Should(HaveField("Reason", headlesscontrolplane.ReasonWaitingForInfrastructure))

	cluster.Status.Initialization.InfrastructureProvisioned = new(true)
	g.Expect(c.Status().Update(ctx, cluster)).To(Succeed())
	for _, kind := range []string{controlplanev1.ConditionAvailable, controlplanev1.ConditionSynced} {
		g.Eventually(condition(kind)).WithTimeout(patience).WithPolling(200 * time.Millisecond).Should(HaveField("Status", metav1.ConditionTrue))
	}
	g.Eventually(condition(controlplanev1.ConditionRollingOut)).WithTimeout(patience).Should(HaveField("Status", metav1.ConditionFalse))

	checkContract(t, c, hcp)
	checkRest(t, c)

	g.Expect(c.Delete(ctx, hcp)).To(Succeed())
	g.Eventually(func() (map[string]string, error) {
		left := versions(t, c)
		for name := range left {
			if kind, _, _ := strings.Cut(name, " "); kind != "hcp" && kind != "heaven" && kind != "merge" && kind != "deployment" {
				// The garbage collector's, of which there is none here.
				delete(left, name)
			}
		}
		return left, nil
	}).WithTimeout(patience).Should(BeEmpty())
}

// checkContract says what Cluster API wants of a control plane.
func checkContract(t *testing.T, c client.Client, hcp *controlplanev1.HeadlessControlPlane) {
	t.Helper()
	g := NewWithT(t)
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(hcp), hcp)).To(Succeed())
	g.Expect(*hcp.Status.Initialization.ControlPlaneInitialized).To(BeTrue())
	g.Expect(*hcp.Status.ExternalManagedControlPlane).To(BeTrue())
	g.Expect(hcp.Status.Versions).To(Equal([]clusterv1.StatusVersion{{Version: "v1.36.3"}}))
	g.Expect(hcp.Spec.ControlPlaneEndpoint.Port).To(BeEquivalentTo(6443))
	g.Expect(hcp.Status.ObservedGeneration).To(Equal(hcp.Generation))
	kubeconfig := &corev1.Secret{}
	g.Expect(c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "blue-kubeconfig"}, kubeconfig)).To(Succeed())
	g.Expect(kubeconfig.Type).To(Equal(clusterv1.ClusterSecretType))
}

// checkRest says that a control plane at rest is at rest, also when it is looked at again: server-side defaults are no
// reason to write, and a Deployment is written once.
func checkRest(t *testing.T, c client.Client) {
	t.Helper()
	g := NewWithT(t)
	before := versions(t, c)
	// 1 control plane, 1 merge, 3 heavens; 6 Secrets of the cluster; for the hub and each heaven a Deployment, a ConfigMap,
	// a claim and a Secret; 2 Services, and the host's own.
	g.Expect(before).To(HaveLen(1+1+3+6+4*4+2+1), "%v", before)
	// Something that concerns everybody changes without meaning anything.
	ca := &corev1.Secret{}
	g.Expect(c.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "blue-ca"}, ca)).To(Succeed())
	ca.Annotations = map[string]string{"touched": "yes"}
	g.Expect(c.Update(t.Context(), ca)).To(Succeed())
	before["secret blue-ca"] = ca.ResourceVersion
	g.Consistently(func() map[string]string { return versions(t, c) }).WithTimeout(4 * time.Second).WithPolling(time.Second).Should(Equal(before))

	deployments := &appsv1.DeploymentList{}
	g.Expect(c.List(t.Context(), deployments, client.InNamespace("default"))).To(Succeed())
	for _, d := range deployments.Items {
		g.Expect(d.Generation).To(BeEquivalentTo(1), d.Name)
	}
}
