// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/addons"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/host"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

// HostKind says which cluster hosts the control plane.
type HostKind string

// The kinds of host.
const (
	// Sandbox is the host that this program makes.
	Sandbox HostKind = "sandbox"
	// Existing is the cluster that KUBECONFIG leads to.
	Existing HostKind = "existing"
)

// Options choose the story. The zero value is the sandbox's.
type Options struct {
	Host HostKind
	// Kubeconfig leads to an existing host.
	Kubeconfig string
	// Root is the checkout.
	Root string
	// Cluster and Namespace name the headless cluster. Default "blue" in "default".
	Cluster   string
	Namespace string
	// Pods is how many pods the workload has. Default 3.
	Pods int
}

// Story is one telling.
type Story struct {
	o     Options
	c     sandbox.Config
	tell  *narrate.Narrator
	clock clock.WithTicker
	host  addons.Client // the cluster that hosts the control plane
	blue  addons.Client // the headless cluster
	told  record
}

// New prepares a telling.
func New(c sandbox.Config, o Options, tell *narrate.Narrator, clk clock.WithTicker) (*Story, error) {
	if o.Host == "" {
		o.Host = Sandbox
	}
	if o.Cluster == "" {
		o.Cluster = "blue"
	}
	if o.Namespace == "" {
		o.Namespace = "default"
	}
	if o.Pods == 0 {
		o.Pods = 3
	}
	kubeconfig := c.Kubeconfig()
	if o.Host == Existing {
		if o.Kubeconfig == "" {
			return nil, errors.New("an existing host needs KUBECONFIG: set it to the kubeconfig of the cluster that shall be the host")
		}
		kubeconfig = o.Kubeconfig
		c = guest(c)
	}
	s := &Story{o: o, c: c, tell: tell, clock: clk, host: addons.Client{Kubectl: c.Bin("kubectl"), Kubeconfig: kubeconfig}}
	s.blue = addons.Client{Kubectl: c.Bin("kubectl"), Kubeconfig: s.clusterKubeconfig()}
	return s, s.recall()
}

// The defaults of a story on an existing host: that host may be a sandbox on
// this very machine, so nothing of them is a sandbox's.
const (
	guestName    = "headless-guest"
	guestNetwork = "10.205.0.0/16"
	guestSuffix  = "-existing"
)

// guest is the configuration of a story on an existing host.
func guest(c sandbox.Config) sandbox.Config {
	if c.Name == sandbox.DefaultName {
		c.Name = guestName
	}
	if c.Network == sandbox.DefaultNetwork {
		c.Network = guestNetwork
	}
	c.StateDir += guestSuffix
	return c
}

func (s *Story) clusterKubeconfig() string { return s.c.Path("clusters", s.o.Cluster, "kubeconfig") }

func (s *Story) repository() string { return s.c.Path("clusters", s.o.Cluster, "upstream.git") }

func (s *Story) log(name string) string { return s.c.Log("quickstart-" + name) }

// chapter is one step of the story.
type chapter struct {
	name string
	log  string
	do   func(context.Context) error
}

func (s *Story) take(ctx context.Context, chapters []chapter) error {
	for _, ch := range chapters {
		if err := s.tell.Do(ctx, ch.name, ch.log, ch.do); err != nil {
			return err
		}
	}
	return nil
}

// Tell tells the whole story.
func (s *Story) Tell(ctx context.Context) error {
	release, err := host.Lock(ctx, s.c)
	if err != nil {
		return err
	}
	defer release()
	if err := s.bringHost(ctx); err != nil {
		return err
	}
	err = s.take(ctx, []chapter{
		{"write the clusterctl repository and its configuration", s.log("release"), s.release},
		{"clusterctl init --core cluster-api --control-plane headless --bootstrap headless --infrastructure gitbacked", s.log("init"), s.install},
		{"wait for the providers", s.log("init"), s.awaitProviders},
		{"watch for machines that are waited for", s.c.Log(host.Machines), s.watchMachines},
		{fmt.Sprintf("clusterctl generate cluster %s --kubernetes-version %s --worker-machine-count 1 | kubectl apply -f -", s.o.Cluster, sandbox.KubernetesVersion), s.log("cluster"), s.createCluster},
		{"wait for the API of " + s.o.Cluster, s.log("cluster"), s.awaitAPI},
		{"wait for a Node of " + s.o.Cluster, s.c.Log(host.Machines), s.awaitNode},
		{fmt.Sprintf("create a Deployment of %d pods", s.o.Pods), s.log("workload"), s.runWorkload},
		{"ask a pod over HTTP through a NodePort", s.log("workload"), s.askWorkload},
		{"fetch the Git history of the upstream", "", s.fetchHistory},
	})
	if err != nil {
		return err
	}
	if err := s.show(ctx); err != nil {
		return err
	}
	s.summarize()
	return s.keep()
}

// bringHost brings the sandbox host up with all images, or looks at the one there is.
func (s *Story) bringHost(ctx context.Context) error {
	if s.o.Host == Existing {
		return s.take(ctx, []chapter{{"look at the host that KUBECONFIG names", "", s.examineHost}})
	}
	h := &host.Host{Config: s.c, Tell: s.tell, Clock: s.clock}
	if err := h.Up(ctx); err != nil {
		return err
	}
	return s.take(ctx, []chapter{{"load the images of the providers and of headless clusters", s.c.Log(host.Containerd), s.loadImages}})
}

// record is what was measured, kept beside the state.
type record struct {
	Host HostKind `json:"host"`
	// Installed says that the story installed the providers.
	Installed bool `json:"installed"`
	// CertManager says that the story installed cert-manager on an existing host.
	CertManager bool `json:"certManager,omitempty"`
	// APIReady is from kubectl apply to an API that is ready.
	APIReady float64 `json:"apiReadySeconds"`
	// NodeReady is from kubectl apply to a Node that is Ready.
	NodeReady float64 `json:"nodeReadySeconds"`
	// PodsRunning is from kubectl create to all pods Running.
	PodsRunning float64 `json:"podsRunningSeconds"`
	// Milestones say where that time went.
	Milestones []milestone `json:"milestones,omitempty"`
	// Gitcd is the resident memory of each gitcd.
	Gitcd []resident `json:"gitcd,omitempty"`
	// URL answered.
	URL string `json:"url,omitempty"`
	// Seconds is the whole telling.
	Seconds float64        `json:"seconds"`
	Steps   []narrate.Step `json:"steps,omitempty"`
}

// Record is what the story measured, for machines.
func (s *Story) Record() any { return s.told }

func (s *Story) recordFile() string { return s.c.Path("quickstart.json") }

// recall reads what an earlier telling measured.
func (s *Story) recall() error {
	s.told.Host = s.o.Host
	b, err := os.ReadFile(s.recordFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what was measured: %w", err)
	}
	if err := json.Unmarshal(b, &s.told); err != nil {
		return fmt.Errorf("parse %s (remove it to measure again): %w", s.recordFile(), err)
	}
	return nil
}

// keep writes what was measured.
func (s *Story) keep() error {
	s.told.Host = s.o.Host
	b, err := json.MarshalIndent(s.told, "", "  ")
	if err != nil {
		return fmt.Errorf("encode what was measured: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(s.recordFile()), 0o755); err != nil { //nolint:gosec // no secrets
		return fmt.Errorf("create state directory: %w", err)
	}
	if err := os.WriteFile(s.recordFile(), b, 0o600); err != nil {
		return fmt.Errorf("write what was measured: %w", err)
	}
	return nil
}
