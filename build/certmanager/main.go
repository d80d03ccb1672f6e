// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Command certmanager runs cert-manager's own controllers in one process: the
// ones that a Cluster API host needs, which are the self-signed and CA issuers,
// the certificate pipeline and the CA injector.
//
//	Certificate ─► cert-manager's controllers ─► Secret
//	                                               │
//	webhooks, CRDs, APIServices  ◄─ CA injector ◄──┘
//
// cert-manager publishes its library as a Go module, but not its commands, so
// where neither a registry nor GitHub is in reach this is how it is had.
//
// # Laws
//
//  1. The controllers are cert-manager's, unmodified; this file only starts them.
//  2. If one of them ends, the process ends, and the kubelet starts it again.
//  3. It is live once the injectors' manager runs, ready once its caches are filled.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"time"

	// The controllers register themselves when they are imported.
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmcontroller "github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// workers is how many objects one controller handles at a time.
	workers = 2
	// retryAfter is the first pause after a failed request: a fresh host has
	// certificates whose issuer comes moments later.
	retryAfter = time.Second
	// injectorAgent names the injector to the API server; cert-manager derives
	// the field manager of its server-side apply from it, which must not be empty.
	injectorAgent = "cert-manager-cainjector/v1.21.2"
)

// options are the command's flags.
type options struct {
	healthAddress    string
	clusterNamespace string
}

func main() {
	var o options
	flag.StringVar(&o.healthAddress, "health-addr", ":9440", "where /healthz and /readyz are served")
	flag.StringVar(&o.clusterNamespace, "cluster-resource-namespace", "cert-manager", "the namespace of ClusterIssuers' Secrets")
	klog.InitFlags(nil)
	flag.Parse()
	ctrl.SetLogger(klog.Background())
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		klog.ErrorS(err, "cert-manager stopped")
		os.Exit(1)
	}
}

// run starts everything under one manager and returns when it ends.
func run(ctx context.Context, o options) error {
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	cfg, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	cfg.UserAgent = injectorAgent
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                 scheme,
		HealthProbeBindAddress: o.healthAddress,
		Metrics:                metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return fmt.Errorf("create manager: %w", err)
	}
	if err := addProbes(mgr); err != nil {
		return err
	}
	if err := addControllers(ctx, mgr, o); err != nil {
		return err
	}
	if err := addInjectors(ctx, mgr); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// newScheme knows the kinds that the injectors read and write.
func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	err := errors.Join(clientgoscheme.AddToScheme(s), apiextensionsv1.AddToScheme(s),
		apiregistrationv1.AddToScheme(s), cmapi.AddToScheme(s))
	if err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	return s, nil
}

// addProbes serves liveness always, and readiness once the caches are filled.
func addProbes(mgr manager.Manager) error {
	ready := func(r *http.Request) error {
		if !mgr.GetCache().WaitForCacheSync(r.Context()) {
			return errors.New("caches are not filled yet")
		}
		return nil
	}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("caches", ready)); err != nil {
		return fmt.Errorf("add probes: %w", err)
	}
	return nil
}

// addControllers adds each controller that registered itself, and then the
// informers that they share.
func addControllers(ctx context.Context, mgr manager.Manager, o options) error {
	factory, err := cmcontroller.NewContextFactory(ctx, cmcontroller.ContextOptions{
		Kubeconfig:         flag.Lookup("kubeconfig").Value.String(), // controller-runtime's flag
		KubernetesAPIQPS:   20,
		KubernetesAPIBurst: 50,
		IssuerOptions:      cmcontroller.IssuerOptions{ClusterResourceNamespace: o.clusterNamespace},
		CertificateOptions: cmcontroller.CertificateOptions{CertificateRequestMinimumBackoffDuration: retryAfter},
	})
	if err != nil {
		return fmt.Errorf("create cert-manager context: %w", err)
	}
	shared, err := factory.Build()
	if err != nil {
		return fmt.Errorf("build cert-manager context: %w", err)
	}
	for name, construct := range cmcontroller.Known() {
		c, err := construct(factory)
		if err != nil {
			return fmt.Errorf("construct controller %s: %w", name, err)
		}
		runnable := manager.RunnableFunc(func(ctx context.Context) error {
			if err := c.Run(workers, ctx); err != nil {
				return fmt.Errorf("run controller %s: %w", name, err)
			}
			return nil
		})
		if err := mgr.Add(runnable); err != nil {
			return fmt.Errorf("add controller %s: %w", name, err)
		}
	}
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		shared.SharedInformerFactory.Start(ctx.Done())
		shared.KubeSharedInformerFactory.Start(ctx.Done())
		<-ctx.Done()
		return nil
	}))
}

// addInjectors adds cert-manager's CA injectors for every kind they know.
func addInjectors(ctx context.Context, mgr manager.Manager) error {
	err := cainjector.RegisterAllInjectors(ctx, mgr, cainjector.SetupOptions{
		EnableCertificatesDataSource: true,
		EnabledReconcilersFor: map[string]bool{
			cainjector.MutatingWebhookConfigurationName:   true,
			cainjector.ValidatingWebhookConfigurationName: true,
			cainjector.APIServiceName:                     true,
			cainjector.CustomResourceDefinitionName:       true,
		},
	})
	if err != nil {
		return fmt.Errorf("register CA injectors: %w", err)
	}
	return nil
}
