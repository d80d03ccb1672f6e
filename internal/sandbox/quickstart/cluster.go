// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

// The bars of the issue that asked for the quick start.
const (
	apiBar   = 60 * time.Second
	podsBar  = 15 * time.Second
	gitcdBar = 64 << 20
)

// How long the story waits before it says that something does not come.
const (
	webhookPatience = 90 * time.Second
	apiPatience     = 5 * time.Minute
	nodePatience    = 5 * time.Minute
	podsPatience    = 3 * time.Minute
	httpPatience    = 60 * time.Second

	look = 200 * time.Millisecond
)

// poll looks until the condition holds without an error; its last error is part
// of the result.
func (s *Story) poll(ctx context.Context, limit time.Duration, condition func(context.Context) (bool, error)) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, look, limit, true, func(ctx context.Context) (bool, error) {
		done, err := condition(ctx)
		if ctx.Err() == nil || last == nil { // a look that the deadline cut short says less than the one before
			last = err
		}
		return done && err == nil, nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("not within %s: %w", limit, err), last)
	}
	return nil
}

// manifest is what clusterctl generates for the cluster.
func (s *Story) manifest(ctx context.Context) (string, error) {
	out, err := s.clusterctl(ctx, s.log("generate"), "generate", "cluster", s.o.Cluster,
		"--target-namespace", s.o.Namespace, "--infrastructure", "gitbacked:"+sandbox.Version,
		"--kubernetes-version", sandbox.KubernetesVersion, "--worker-machine-count", "1")
	if err != nil {
		return "", narrate.Mend(err, "look at the log of clusterctl")
	}
	return out, nil
}

// createCluster applies the manifest. The time of a first apply is written down,
// so that the API's time can be taken also by a story that is resumed.
func (s *Story) createCluster(ctx context.Context) error {
	manifest, err := s.manifest(ctx)
	if err != nil {
		return err
	}
	_, err = s.host.Run(ctx, "get", "cluster", s.o.Cluster, "--namespace", s.o.Namespace)
	if err != nil {
		s.told.APIReady, s.told.NodeReady = 0, 0
		s.told.PodsRunning, s.told.Milestones = 0, nil
		if err := s.keepTime(); err != nil {
			return err
		}
	}
	_, err = s.run(ctx, s.log("cluster"), command.Options{Stdin: strings.NewReader(manifest)},
		s.host.Kubectl, "--kubeconfig", s.host.Kubeconfig, "apply", "-f", "-")
	if err != nil {
		return narrate.Mend(err, "read what the webhook or the API server says")
	}
	return s.keep()
}

// applied is the file that holds when the cluster was applied.
func (s *Story) applied() string { return s.c.Path("clusters", s.o.Cluster, "applied") }

// keepTime writes down when the cluster was applied.
func (s *Story) keepTime() error {
	file := s.applied()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("create directory of the cluster: %w", err)
	}
	if err := os.WriteFile(file, []byte(s.clock.Now().Format(time.RFC3339Nano)), 0o600); err != nil {
		return fmt.Errorf("write down a time: %w", err)
	}
	return nil
}

// sinceApplied is the time since then, in seconds; 0 if it was not written down.
func (s *Story) sinceApplied() float64 {
	b, err := os.ReadFile(s.applied())
	if err != nil {
		return 0
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return 0
	}
	return s.clock.Since(t).Seconds()
}

// awaitAPI waits until the cluster's API server is ready, by its own word, and
// keeps its kubeconfig. It asks from within this process: a kubectl each time
// would take the time that is measured.
func (s *Story) awaitAPI(ctx context.Context) error {
	hostClients, err := connect(s.host.Kubeconfig)
	if err != nil {
		return err
	}
	err = s.poll(ctx, apiPatience, func(ctx context.Context) (bool, error) {
		secret, err := hostClients.typed.CoreV1().Secrets(s.o.Namespace).Get(ctx, s.o.Cluster+"-kubeconfig", metav1.GetOptions{})
		if err != nil {
			return false, fmt.Errorf("read the cluster's kubeconfig: %w", err)
		}
		if err := s.keepKubeconfig(secret.Data["value"]); err != nil {
			return false, err
		}
		return true, s.askReady(ctx)
	})
	if err != nil {
		s.diagnoseCluster(ctx)
		return narrate.Mend(fmt.Errorf("wait for the API of %s: %w", s.o.Cluster, err),
			fmt.Sprintf("%s describe cluster %s --show-conditions all; the log holds the state of the control plane's pods", s.c.Bin("clusterctl"), s.o.Cluster))
	}
	if s.told.APIReady == 0 {
		s.told.APIReady = s.sinceApplied()
	}
	s.tell.Sayf("  the API of %s was ready %.1f s after kubectl apply (bar %.0f s)", s.o.Cluster, s.told.APIReady, apiBar.Seconds())
	return s.keep()
}

// askReady asks the cluster's API server once.
func (s *Story) askReady(ctx context.Context) error {
	blue, err := connect(s.blue.Kubeconfig)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if _, err := blue.typed.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return fmt.Errorf("ask /readyz: %w", err)
	}
	return nil
}

// keepKubeconfig keeps the kubeconfig that the control plane provider made.
func (s *Story) keepKubeconfig(content []byte) error {
	if err := os.MkdirAll(filepath.Dir(s.clusterKubeconfig()), 0o700); err != nil {
		return fmt.Errorf("create directory of the cluster: %w", err)
	}
	if err := os.WriteFile(s.clusterKubeconfig(), content, 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// awaitNode waits until the worker's Node is Ready at the front door and its
// Machine knows it.
func (s *Story) awaitNode(ctx context.Context) error {
	blue, err := connect(s.blue.Kubeconfig)
	if err != nil {
		return err
	}
	hostClients, err := connect(s.host.Kubeconfig)
	if err != nil {
		return err
	}
	err = s.poll(ctx, nodePatience, func(ctx context.Context) (bool, error) {
		node, err := readyNode(ctx, blue)
		if err != nil {
			return false, err
		}
		if s.told.NodeReady == 0 {
			s.told.NodeReady = s.sinceApplied()
		}
		return true, s.machineKnows(ctx, hostClients, node.Name)
	})
	if err != nil {
		s.diagnoseCluster(ctx)
		return narrate.Mend(fmt.Errorf("wait for a Node of %s: %w", s.o.Cluster, err),
			fmt.Sprintf("%s machine list, then machine logs NAME: what the machine's cloud-init, gitcd and kubelet say", s.c.Bin("sandbox")))
	}
	s.tell.Sayf("  its Node was Ready %.1f s after kubectl apply", s.told.NodeReady)
	return s.keep()
}

// readyNode returns a Node that is Ready.
func readyNode(ctx context.Context, blue clients) (*corev1.Node, error) {
	nodes, err := blue.typed.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list Nodes: %w", err)
	}
	for i := range nodes.Items {
		for _, cond := range nodes.Items[i].Status.Conditions {
			if cond.Type == corev1.NodeReady && cond.Status == corev1.ConditionTrue {
				return &nodes.Items[i], nil
			}
		}
	}
	return nil, fmt.Errorf("of %d Nodes none is Ready", len(nodes.Items))
}

// machineKnows looks whether a Machine has this Node as its nodeRef.
func (s *Story) machineKnows(ctx context.Context, hostClients clients, node string) error {
	machines, err := hostClients.dynamic.Resource(clusterv1.GroupVersion.WithResource("machines")).Namespace(s.o.Namespace).
		List(ctx, metav1.ListOptions{LabelSelector: clusterv1.ClusterNameLabel + "=" + s.o.Cluster})
	if err != nil {
		return fmt.Errorf("list Machines: %w", err)
	}
	for i := range machines.Items {
		name, _, err := unstructured.NestedString(machines.Items[i].Object, "status", "nodeRef", "name")
		if err == nil && name == node {
			return nil
		}
	}
	return fmt.Errorf("the Node %s is Ready, but no Machine has it as its nodeRef", node)
}

// diagnoseCluster writes what the control plane's objects and pods say.
func (s *Story) diagnoseCluster(ctx context.Context) {
	log := s.log("cluster")
	for _, args := range [][]string{
		{"get", "trishankuheavens,automatedmerges,gitrepositories,gitbackedclusters,headlesscontrolplanes", "--namespace", s.o.Namespace, "-o", "yaml"},
		{"get", "machines,gitbackedmachines,headlessconfigs", "--namespace", s.o.Namespace, "-o", "yaml"},
	} {
		argv := append([]string{s.host.Kubectl, "--kubeconfig", s.host.Kubeconfig}, args...)
		// The failure itself is what is reported; this only adds to it.
		_, _ = s.run(ctx, log, command.Options{}, argv...)
	}
	s.diagnose(ctx, log, s.host, s.o.Namespace)
}
