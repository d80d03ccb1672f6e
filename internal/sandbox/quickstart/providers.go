// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/addons"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/host"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/images"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

// providers are what clusterctl's inventory must name.
var providers = []string{"cluster-api", "bootstrap-headless", "control-plane-headless", "infrastructure-gitbacked"}

// inventory is the kind in which clusterctl writes down what it installed.
const inventory = "providers.clusterctl.cluster.x-k8s.io"

// providerLabel is on everything that clusterctl installs.
const providerLabel = "cluster.x-k8s.io/provider"

// providersPatience is how long the providers may take.
const providersPatience = "240s"

// run runs a program with its output in a log.
func (s *Story) run(ctx context.Context, log string, o command.Options, argv ...string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil { //nolint:gosec // no secrets
		return "", fmt.Errorf("create directory of logs: %w", err)
	}
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("open log: %w", err)
	}
	_, _ = io.WriteString(f, "$ "+strings.Join(argv, " ")+"\n") // a log that cannot be written stops nothing
	o.Output = f
	out, err := command.RunWith(ctx, o, argv...)
	return out, errors.Join(err, f.Close())
}

// clusterctl runs clusterctl against the host; its own files stay in the state directory.
func (s *Story) clusterctl(ctx context.Context, log string, args ...string) (string, error) {
	env := append(os.Environ(), "KUBECONFIG="+s.host.Kubeconfig,
		"XDG_CONFIG_HOME="+s.c.Path("clusterctl"), "XDG_CACHE_HOME="+s.c.Path("clusterctl"), "CLUSTERCTL_DISABLE_VERSIONCHECK=true")
	argv := append([]string{s.c.Bin("clusterctl"), "--config", s.clusterctlConfig()}, args...)
	return s.run(ctx, log, command.Options{Env: env}, argv...)
}

func (s *Story) clusterctlConfig() string { return s.c.Path("release", "clusterctl-sandbox.yaml") }

// examineHost looks whether an existing host answers, and whether it has cert-manager.
func (s *Story) examineHost(ctx context.Context) error {
	if err := host.Claim(s.c); err != nil {
		return err
	}
	out, err := s.host.Run(ctx, "get", "nodes", "-o", "name")
	if err != nil {
		return narrate.Mend(fmt.Errorf("reach the host: %w", err), "look at KUBECONFIG="+s.host.Kubeconfig)
	}
	if strings.TrimSpace(out) == "" {
		return narrate.Mend(errors.New("the host has no Node"), "the control plane's pods need one")
	}
	s.tell.Sayf("  its Nodes must have the images: they are archives in %s, made by `sandbox images build`", s.c.Archives())
	if _, err := s.host.Run(ctx, "get", "crd", "certificates.cert-manager.io"); err != nil {
		s.told.CertManager = true // clusterctl will install it
	}
	return s.keep()
}

// loadImages brings all images into the sandbox host; a provider whose image has
// changed is started anew.
func (s *Story) loadImages(ctx context.Context) error {
	loaded, err := images.Load(ctx, s.c, images.Target{Address: s.c.ContainerdSocket()})
	if err != nil {
		return err
	}
	for _, l := range loaded {
		if l.Ref == sandbox.ImageManager && l.Imported && s.installed(ctx) {
			if err := s.restartProviders(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// restartProviders starts our managers anew.
func (s *Story) restartProviders(ctx context.Context) error {
	for _, p := range providers[1:] {
		namespace, err := s.namespaceOf(ctx, p)
		if err != nil {
			return err
		}
		if _, err := s.host.Run(ctx, "rollout", "restart", "deployment", "--namespace", namespace); err != nil {
			return fmt.Errorf("restart provider %s: %w", p, err)
		}
	}
	return nil
}

// release writes the local repository and the configuration that leads to it.
func (s *Story) release(ctx context.Context) error {
	out := s.c.Path("release")
	env := append(os.Environ(), "KUSTOMIZE="+s.c.Bin("kustomize"))
	_, err := s.run(ctx, s.log("release"), command.Options{Dir: s.o.Root, Env: env},
		filepath.Join(s.o.Root, "hack/release.sh"), sandbox.Version, out)
	if err != nil {
		return narrate.Mend(err, "the script must run in a checkout with `make build` done; name it with --root")
	}
	b, err := os.ReadFile(filepath.Join(out, "clusterctl.yaml"))
	if err != nil {
		return fmt.Errorf("read clusterctl's configuration: %w", err)
	}
	config := map[string]any{}
	if err := yaml.Unmarshal(b, &config); err != nil {
		return fmt.Errorf("parse clusterctl's configuration: %w", err)
	}
	if !s.told.CertManager {
		config["cert-manager"] = map[string]any{"version": sandbox.CertManagerVersion, "timeout": "2m", "externallyProvisioned": "true"}
	}
	config["CLUSTERCTL_DISABLE_VERSIONCHECK"] = "true"
	if b, err = yaml.Marshal(config); err != nil {
		return fmt.Errorf("encode clusterctl's configuration: %w", err)
	}
	if err := os.WriteFile(s.clusterctlConfig(), b, 0o600); err != nil {
		return fmt.Errorf("write clusterctl's configuration: %w", err)
	}
	return nil
}

// installed looks whether clusterctl's inventory names all providers.
func (s *Story) installed(ctx context.Context) bool {
	out, err := s.host.Run(ctx, "get", inventory, "--all-namespaces", "-o", "jsonpath={.items[*].metadata.name}")
	if err != nil {
		return false // before the first init there is not even the kind
	}
	have := strings.Fields(out)
	for _, p := range providers {
		if !slices.Contains(have, p) {
			return false
		}
	}
	return true
}

// install installs the providers unless they are there.
func (s *Story) install(ctx context.Context) error {
	if s.installed(ctx) {
		return nil
	}
	_, err := s.clusterctl(ctx, s.log("init"), "init",
		"--core", "cluster-api", "--control-plane", "headless", "--bootstrap", "headless", "--infrastructure", "gitbacked")
	if err != nil {
		return narrate.Mend(err, "if providers are half installed: "+s.c.Bin("clusterctl")+" delete --all --include-crd --include-namespace, then run again")
	}
	s.told.Installed = true
	return s.keep()
}

// namespaceOf is where clusterctl put a provider.
func (s *Story) namespaceOf(ctx context.Context, provider string) (string, error) {
	out, err := s.host.Run(ctx, "get", inventory, "--all-namespaces",
		"-o", fmt.Sprintf(`jsonpath={.items[?(@.metadata.name==%q)].metadata.namespace}`, provider))
	if err != nil {
		return "", fmt.Errorf("find provider %s: %w", provider, err)
	}
	return strings.TrimSpace(out), nil
}

// awaitProviders waits for the providers' Deployments.
func (s *Story) awaitProviders(ctx context.Context) error {
	for _, p := range providers {
		namespace, err := s.namespaceOf(ctx, p)
		if err != nil {
			return err
		}
		_, err = s.host.Run(ctx, "wait", "deployment", "--namespace", namespace, "--selector", providerLabel+"="+p, "--for=condition=Available", "--timeout="+providersPatience)
		if err != nil {
			s.diagnose(ctx, s.log("init"), s.host, namespace)
			return narrate.Mend(fmt.Errorf("wait for provider %s: %w", p, err), "kubectl --kubeconfig "+s.host.Kubeconfig+" --namespace "+namespace+" describe pods")
		}
	}
	return s.awaitWebhooks(ctx)
}

// awaitWebhooks waits until a webhook of ours answers: the CA is injected and
// the Service leads to the pod some moments after the Deployment is available.
func (s *Story) awaitWebhooks(ctx context.Context) error {
	manifest, err := s.manifest(ctx)
	if err != nil {
		return err
	}
	err = s.poll(ctx, webhookPatience, func(ctx context.Context) (bool, error) {
		_, err := command.RunWith(ctx, command.Options{Stdin: strings.NewReader(manifest)},
			s.host.Kubectl, "--kubeconfig", s.host.Kubeconfig, "apply", "--dry-run=server", "-f", "-")
		if err != nil && strings.Contains(err.Error(), "denied the request") {
			return true, nil // to deny is to answer, and the apply that follows says why
		}
		return err == nil, err
	})
	if err != nil {
		return narrate.Mend(fmt.Errorf("wait for the webhooks: %w", err), "kubectl --kubeconfig "+s.host.Kubeconfig+" get certificates,pods --all-namespaces")
	}
	return nil
}

// watchMachines starts the watch that brings sandbox machines.
func (s *Story) watchMachines(ctx context.Context) error {
	return host.StartMachines(ctx, s.c, s.host.Kubeconfig, s.o.Host == Existing)
}

// diagnose appends what a reader of a failure wants to know to a log.
func (s *Story) diagnose(ctx context.Context, log string, k addons.Client, namespace string) {
	for _, args := range [][]string{
		{"get", "events", "--namespace", namespace, "--field-selector", "type!=Normal"},
		{"get", "pods", "--namespace", namespace, "-o", "wide"},
	} {
		argv := append([]string{k.Kubectl, "--kubeconfig", k.Kubeconfig}, args...)
		// The failure itself is what is reported; this only adds to it.
		_, _ = s.run(ctx, log, command.Options{}, argv...)
	}
}
