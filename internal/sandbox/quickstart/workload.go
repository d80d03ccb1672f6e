// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

const (
	// workload is the name of the Deployment and its Service.
	workload = "hello"
	// workloadPort is where its pods answer.
	workloadPort = 8080
)

// workloadNamespace is where it runs in the headless cluster.
const workloadNamespace = metav1.NamespaceDefault

// milestone is something that was seen at the front door on the way from
// Deployment to Running.
type milestone struct {
	// At is when it was seen, in seconds since the Deployment was created.
	At   float64 `json:"atSeconds"`
	What string  `json:"what"`
	// By is whose branch it came on.
	By string `json:"by"`
}

// runWorkload creates the Deployment and waits until its pods run. A Deployment
// that is there was measured before.
func (s *Story) runWorkload(ctx context.Context) error {
	blue, err := connect(s.blue.Kubeconfig)
	if err != nil {
		return err
	}
	if err := s.awaitServiceAccount(ctx, blue); err != nil {
		return err
	}
	begun := s.clock.Now()
	_, err = blue.typed.AppsV1().Deployments(workloadNamespace).Create(ctx, s.deployment(), metav1.CreateOptions{})
	fresh := err == nil
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create Deployment: %w", err)
	}
	seen := &sightings{story: s, begun: begun}
	err = s.poll(ctx, podsPatience, func(ctx context.Context) (bool, error) { return seen.look(ctx, blue) })
	if err != nil {
		s.diagnose(ctx, s.log("workload"), s.blue, workloadNamespace)
		return narrate.Mend(fmt.Errorf("wait for pods: %w", err),
			"kubectl --kubeconfig "+s.clusterKubeconfig()+" describe pods; last seen: "+seen.last())
	}
	if fresh {
		s.told.PodsRunning, s.told.Milestones = s.clock.Since(begun).Seconds(), seen.list
	}
	s.tell.Sayf("  %d pods were Running %.1f s after the Deployment was created (bar %.0f s)", s.o.Pods, s.told.PodsRunning, podsBar.Seconds())
	return s.keep()
}

// awaitServiceAccount waits for what every pod of a new cluster needs, so that
// the pods' time is the pods'.
func (s *Story) awaitServiceAccount(ctx context.Context, blue clients) error {
	err := s.poll(ctx, httpPatience, func(ctx context.Context) (bool, error) {
		_, err := blue.typed.CoreV1().ServiceAccounts(workloadNamespace).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, err
	})
	if err != nil {
		return narrate.Mend(fmt.Errorf("wait for the default service account: %w", err), "it is the controller manager's work: look at its heaven")
	}
	return nil
}

// sightings are what was seen at the front door so far.
type sightings struct {
	story *Story
	begun time.Time
	list  []milestone
}

// look looks once at ReplicaSet and pods; true when all run.
func (v *sightings) look(ctx context.Context, blue clients) (bool, error) {
	selector := metav1.ListOptions{LabelSelector: "app=" + workload}
	pods, err := blue.typed.CoreV1().Pods(workloadNamespace).List(ctx, selector)
	if err != nil {
		return false, fmt.Errorf("list pods: %w", err)
	}
	if len(pods.Items) == 0 {
		sets, err := blue.typed.AppsV1().ReplicaSets(workloadNamespace).List(ctx, selector)
		if err != nil {
			return false, fmt.Errorf("list ReplicaSets: %w", err)
		}
		v.reach(len(sets.Items) > 0, "ReplicaSet", "heavens/kube-controller-manager")
		return false, errors.New("there are no pods yet")
	}
	var bound, running int
	for i := range pods.Items {
		if pods.Items[i].Spec.NodeName != "" {
			bound++
		}
		if pods.Items[i].Status.Phase == corev1.PodRunning {
			running++
		}
	}
	want := v.story.o.Pods
	v.reach(true, "ReplicaSet", "heavens/kube-controller-manager")
	v.reach(len(pods.Items) >= want, fmt.Sprintf("%d pods", want), "heavens/kube-controller-manager")
	v.reach(bound >= want, fmt.Sprintf("%d pods bound", want), "heavens/kube-scheduler")
	v.reach(running > 0, "first pod Running", "nodes/*")
	v.reach(running >= want, fmt.Sprintf("%d pods Running", want), "nodes/*")
	if running < want {
		return false, fmt.Errorf("%d of %d pods run, %d are bound", running, want, bound)
	}
	return true, nil
}

// reach notes a milestone when it is first seen.
func (v *sightings) reach(there bool, what, by string) {
	if !there {
		return
	}
	for _, m := range v.list {
		if m.What == what {
			return
		}
	}
	v.list = append(v.list, milestone{At: v.story.clock.Since(v.begun).Seconds(), What: what, By: by})
}

// last is the last milestone.
func (v *sightings) last() string {
	if len(v.list) == 0 {
		return "nothing"
	}
	return v.list[len(v.list)-1].What
}

func (s *Story) deployment() *appsv1.Deployment {
	labels := map[string]string{"app": workload}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: workload, Namespace: workloadNamespace, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(s.o.Pods)), //nolint:gosec // a handful
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: new(int64(1)),
					Containers: []corev1.Container{{
						Name: "agnhost", Image: sandbox.ImageAgnhost, ImagePullPolicy: corev1.PullIfNotPresent,
						Args:  []string{"netexec", "--http-port=" + strconv.Itoa(workloadPort)},
						Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: workloadPort}},
					}},
				},
			},
		},
	}
}

// askWorkload makes a NodePort Service and asks it, as somebody on the machine
// would.
func (s *Story) askWorkload(ctx context.Context) error {
	blue, err := connect(s.blue.Kubeconfig)
	if err != nil {
		return err
	}
	services := blue.typed.CoreV1().Services(workloadNamespace)
	service, err := services.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: workload, Namespace: workloadNamespace, Labels: map[string]string{"app": workload}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Selector: map[string]string{"app": workload},
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(workloadPort)}},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		service, err = services.Get(ctx, workload, metav1.GetOptions{})
	}
	if err != nil {
		return fmt.Errorf("create Service: %w", err)
	}
	node, err := readyNode(ctx, blue)
	if err != nil {
		return err
	}
	address, err := internalIP(node)
	if err != nil {
		return err
	}
	url := "http://" + net.JoinHostPort(address, strconv.Itoa(int(service.Spec.Ports[0].NodePort))) + "/hostname"
	var answer string
	err = s.poll(ctx, httpPatience, func(ctx context.Context) (bool, error) {
		answer, err = get(ctx, url)
		return err == nil, err
	})
	if err != nil {
		s.diagnose(ctx, s.log("workload"), s.blue, workloadNamespace)
		return narrate.Mend(fmt.Errorf("ask %s: %w", url, err), "kubectl --kubeconfig "+s.clusterKubeconfig()+" get endpointslices,pods -o wide")
	}
	s.told.URL = url
	s.tell.Sayf("  curl %s: %s", url, answer)
	return s.keep()
}

// internalIP is the address at which a Node's NodePorts answer.
func internalIP(node *corev1.Node) (string, error) {
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address, nil
		}
	}
	return "", fmt.Errorf("the Node %s has no InternalIP: look at its kubelet", node.Name)
}

// get asks once.
func get(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("build request: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("answer %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return strings.TrimSpace(string(body)), nil
}
