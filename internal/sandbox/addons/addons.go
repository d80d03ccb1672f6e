// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package addons applies what a bare Kubernetes host lacks to be a Cluster API
// host: DNS, a default storage class, and cert-manager.
//
// # Laws
//
//  1. Everything is applied server-side by one field manager, so that applying
//     again changes nothing.
//  2. Applied is not done: Wait returns when the Deployments are available.
package addons

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/provisioner"
)

//go:embed manifests
var manifests embed.FS

// CertManagerCRDs is the file that the build collects from cert-manager's module.
const CertManagerCRDs = "cert-manager-crds.yaml"

// patience is how long a Deployment may take.
const patience = "180s"

// values are what the manifests are rendered with.
type values struct {
	DNS, ImageCoreDNS, ImageCertManager, Provisioner string
}

// Addon is one thing that is applied.
type Addon struct {
	Name string
	// files are below manifests/.
	files []string
	// collected are below the build's directory of manifests.
	collected []string
	// deployments are namespace/name.
	deployments []string
}

// The addons of a host.
var (
	Storage     = Addon{Name: "storage class", files: []string{"storage.yaml"}}
	DNS         = Addon{Name: "CoreDNS", files: []string{"coredns.yaml"}, deployments: []string{"kube-system/coredns"}}
	CertManager = Addon{Name: "cert-manager", files: []string{"cert-manager.yaml"}, collected: []string{CertManagerCRDs}, deployments: []string{"cert-manager/cert-manager"}}
)

// Client is a kubectl with a kubeconfig.
type Client struct {
	Kubectl    string
	Kubeconfig string
}

// Run runs kubectl.
func (k Client) Run(ctx context.Context, args ...string) (string, error) {
	return command.Run(ctx, append([]string{k.Kubectl, "--kubeconfig", k.Kubeconfig}, args...)...)
}

// Apply applies manifests server-side.
func (k Client) Apply(ctx context.Context, content []byte) error {
	_, err := command.RunWith(ctx, command.Options{Stdin: bytes.NewReader(content)},
		k.Kubectl, "--kubeconfig", k.Kubeconfig, "apply", "--server-side", "--force-conflicts", "--field-manager=sandbox", "-f", "-")
	return err
}

// Apply applies an addon.
func Apply(ctx context.Context, c sandbox.Config, k Client, a Addon) error {
	nets, err := c.Networks()
	if err != nil {
		return err
	}
	for _, f := range a.collected {
		_, err := k.Run(ctx, "apply", "--server-side", "--force-conflicts", "--field-manager=sandbox", "-f", filepath.Join(c.Manifests(), f))
		if err != nil {
			return fmt.Errorf("apply %s: %w", f, err)
		}
	}
	for _, f := range a.files {
		content, err := render(f, values{
			DNS: nets.DNS.String(), ImageCoreDNS: sandbox.ImageCoreDNS, ImageCertManager: sandbox.ImageCertManager, Provisioner: provisioner.Name,
		})
		if err != nil {
			return err
		}
		if err := k.Apply(ctx, content); err != nil {
			return fmt.Errorf("apply %s: %w", f, err)
		}
	}
	return nil
}

func render(name string, v values) ([]byte, error) {
	t, err := template.ParseFS(manifests, "manifests/"+name)
	if err != nil {
		return nil, fmt.Errorf("parse manifest %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.Option("missingkey=error").Execute(&b, v); err != nil {
		return nil, fmt.Errorf("render manifest %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// Wait returns when an addon's Deployments are available.
func Wait(ctx context.Context, k Client, a Addon) error {
	for _, d := range a.deployments {
		namespace, name, _ := strings.Cut(d, "/")
		if _, err := k.Run(ctx, "rollout", "status", "deployment/"+name, "--namespace", namespace, "--timeout="+patience); err != nil {
			return fmt.Errorf("wait for %s: %w", a.Name, err)
		}
	}
	return nil
}
