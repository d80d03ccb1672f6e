// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

const patience = 60 * time.Second

// TestManagerOnARealAPIServer runs the manager, with all providers, against a kube-apiserver that is stored on gitcd.
func TestManagerOnARealAPIServer(t *testing.T) {
	config := hostAPIServer(t)
	installDefinitions(t, config)
	webhooks := webhookConfigurations(t)
	if err := webhooks.Install(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = webhooks.Cleanup() })

	ctrl.SetLogger(klog.Background())
	o := defaults()
	o.providers = providerNames()
	o.webhookPort, o.webhookCertDir = webhooks.LocalServingPort, webhooks.LocalServingCertDir
	o.healthAddress, o.diagnostics.DiagnosticsAddress, o.diagnostics.InsecureDiagnostics = "127.0.0.1:0", "127.0.0.1:0", true
	startManager(t, o)

	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	typed, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	webhooksAnswer(t, c)

	t.Run("defaults", func(t *testing.T) {
		create(t, c, "HeadlessControlPlane", "blue", "controlplane.cluster.x-k8s.io", "{version: 1.36.3}")
		hcp := &controlplanev1.HeadlessControlPlane{}
		if err := typed.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "blue"}, hcp); err != nil {
			t.Fatal(err)
		}
		if s := hcp.Spec; s.Version != "v1.36.3" || s.Encryption.Provider != "secretbox" || s.Merge.Service.Port != 8443 || s.Storage == nil {
			t.Errorf("got %+v", s)
		}
	})
	t.Run("every reason at once", func(t *testing.T) {
		err := c.Create(t.Context(), object(t, "HeadlessControlPlane", "bad", "controlplane.cluster.x-k8s.io", `{version: v1.36,
			components: {apiServer: {extraArgs: [{name: etcd-servers, value: x}]}, additional: [{name: hub, template: {spec: {containres: []}}}]}}`))
		for _, want := range []string{"write all three parts", "--etcd-servers", "is the name of a component", "containres: Forbidden: there is no such field"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want %q in %v", want, err)
			}
		}
	})
	t.Run("a changed machine", func(t *testing.T) {
		create(t, c, "GitBackedMachine", "m", "infrastructure.cluster.x-k8s.io", "{providerID: \"headless://default/m\"}")
		m := &infrav1.GitBackedMachine{}
		if err := typed.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "m"}, m); err != nil {
			t.Fatal(err)
		}
		if m.Spec.External == nil {
			t.Error("an empty kind of machine did not survive the API server")
		}
		m.Spec.ProviderID = "headless://default/other"
		if err := typed.Update(t.Context(), m); !apierrors.IsInvalid(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a deleted object leaves, whatever it says", func(t *testing.T) {
		hcp := &controlplanev1.HeadlessControlPlane{}
		hcp.Namespace, hcp.Name = "default", "blue"
		if err := typed.Delete(t.Context(), hcp); err != nil {
			t.Fatal(err)
		}
		eventually(t, func(ctx context.Context) error {
			if err := typed.Get(ctx, client.ObjectKeyFromObject(hcp), hcp); !apierrors.IsNotFound(err) {
				return fmt.Errorf("it is still there, with finalizers %v (%w)", hcp.Finalizers, err)
			}
			return nil
		})
	})
}

func startManager(t *testing.T, o *options) {
	t.Helper()
	mgr, err := newManager(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	for _, p := range providers {
		if err := p.setup(ctrl.LoggerInto(ctx, klog.Background()), mgr, o); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("manager: %v", err)
		}
	})
}

// webhookConfigurations are those of all providers, named apart as the release does.
func webhookConfigurations(t *testing.T) envtest.WebhookInstallOptions {
	t.Helper()
	var o envtest.WebhookInstallOptions
	for _, p := range []string{"controlplane", "infrastructure", "bootstrap"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "config", p, "webhook", "manifests.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for doc := range strings.SplitSeq(string(text), "\n---\n") {
			mutating, validating := &admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}
			if err := yaml.Unmarshal([]byte(doc), mutating); err != nil {
				t.Fatal(err)
			}
			if mutating.Name = p + "-" + mutating.Name; mutating.Kind == "MutatingWebhookConfiguration" {
				o.MutatingWebhooks = append(o.MutatingWebhooks, mutating)
				continue
			}
			if err := yaml.Unmarshal([]byte(doc), validating); err != nil {
				t.Fatal(err)
			}
			validating.Name = p + "-" + validating.Name
			o.ValidatingWebhooks = append(o.ValidatingWebhooks, validating)
		}
	}
	return o
}

// webhooksAnswer waits until webhooks of each provider are asked, and refuse.
func webhooksAnswer(t *testing.T, c client.Client) {
	t.Helper()
	for _, bad := range []*unstructured.Unstructured{
		object(t, "GitBackedMachine", "probe", "infrastructure.cluster.x-k8s.io", "{providerID: none}"),
		object(t, "HeadlessControlPlane", "probe", "controlplane.cluster.x-k8s.io", "{version: v1}"),
		object(t, "HeadlessConfig", "probe", "bootstrap.cluster.x-k8s.io", "{labels: {node-role.kubernetes.io/x: \"\"}}"),
	} {
		eventually(t, func(ctx context.Context) error {
			if err := c.Create(ctx, bad.DeepCopy(), client.DryRunAll); !apierrors.IsInvalid(err) {
				return errors.Join(fmt.Errorf("a %s that is wrong is not refused", bad.GetKind()), err)
			}
			return nil
		})
	}
}

func object(t *testing.T, kind, name, group, spec string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{}}
	s := map[string]any{}
	if err := yaml.Unmarshal([]byte(spec), &s); err != nil {
		t.Fatal(err)
	}
	o.Object["spec"] = s
	o.SetAPIVersion(group + "/v1alpha1")
	o.SetKind(kind)
	o.SetNamespace(metav1.NamespaceDefault)
	o.SetName(name)
	return o
}

func create(t *testing.T, c client.Client, kind, name, group, spec string) {
	t.Helper()
	if err := c.Create(t.Context(), object(t, kind, name, group, spec)); err != nil {
		t.Fatal(err)
	}
}

func installDefinitions(t *testing.T, config *rest.Config) {
	t.Helper()
	core, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/cluster-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	coreBases := filepath.Join(strings.TrimSpace(string(core)), "core", "config", "crd", "bases")
	_, err = envtest.InstallCRDs(config, envtest.CRDInstallOptions{
		Paths: []string{
			filepath.Join(coreBases, "cluster.x-k8s.io_clusters.yaml"), filepath.Join(coreBases, "cluster.x-k8s.io_machines.yaml"),
			"../../config/controlplane/crd/bases", "../../config/infrastructure/crd/bases", "../../config/bootstrap/crd/bases",
		},
		ErrorIfPathMissing: true, MaxTime: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hostAPIServer starts gitcd and kube-apiserver, and points KUBECONFIG to it.
func hostAPIServer(t *testing.T) *rest.Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "host") //nolint:usetesting // the name of a Unix socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := "unix://" + filepath.Join(dir, "s")
	store := &gitcdv1.Config{Repository: filepath.Join(dir, "repository"), Branch: "heavens/host", Listeners: []gitcdv1.Listener{{URL: socket}}}
	file, err := store.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "gitcd.yaml"), file)
	if out, err := exec.CommandContext(t.Context(), testbin.Path(t, "gitcd"), "init", "--config", filepath.Join(dir, "gitcd.yaml")).CombinedOutput(); err != nil {
		t.Fatalf("gitcd init: %v\n%s", err, out)
	}
	testbin.Start(t, "gitcd", "serve", "--config", filepath.Join(dir, "gitcd.yaml"))
	server := testbin.StartAPIServer(t, socket)
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"h": {Server: server.URL, InsecureSkipTLSVerify: true}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"h": {Token: server.Token}},
		Contexts:       map[string]*clientcmdapi.Context{"h": {Cluster: "h", AuthInfo: "h"}},
		CurrentContext: "h",
	}, kubeconfig); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func eventually(t *testing.T, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("after %s: %v", patience, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
