// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/feature"
	"sigs.k8s.io/cluster-api/util/flags"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	bootstrapv1 "github.com/trishanku-org/cluster-api-provider-headless/api/bootstrap/v1alpha1"
	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
)

const (
	// leaderElectionID is the name that config/base/rbac.yaml lets the manager use.
	leaderElectionID = "headless-manager-leader-election"

	userAgent = "headless-manager"
)

func newScheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	var errs []error
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, clusterv1.AddToScheme,
		controlplanev1.AddToScheme, bootstrapv1.AddToScheme, infrav1.AddToScheme, heavenv1.AddToScheme,
	} {
		errs = append(errs, add(s))
	}
	return s, errors.Join(errs...)
}

func newManager(o *options) (ctrl.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, fmt.Errorf("register kinds: %w", err)
	}
	rest, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find host cluster (set KUBECONFIG or --kubeconfig outside of a pod): %w", err)
	}
	rest.QPS, rest.Burst, rest.UserAgent = o.qps, o.burst, userAgent+"/"+version
	tlsOptions, metrics, err := flags.GetManagerOptions(o.diagnostics)
	if err != nil {
		return nil, fmt.Errorf("read TLS and diagnostics flags: %w", err)
	}
	ofCluster, err := labels.NewRequirement(clusterv1.ClusterNameLabel, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("select objects of clusters: %w", err)
	}
	usePriorityQueue := feature.Gates.Enabled(feature.PriorityQueue)
	mgr, err := ctrl.NewManager(rest, ctrl.Options{
		Scheme:                        scheme,
		Controller:                    config.Controller{UsePriorityQueue: &usePriorityQueue, CacheSyncTimeout: 5 * time.Minute},
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              leaderElectionID,
		LeaderElectionResourceLock:    resourcelock.LeasesResourceLock,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &o.renewDeadline,
		RetryPeriod:                   &o.retryPeriod,
		HealthProbeBindAddress:        o.healthAddress,
		PprofBindAddress:              o.profilerAddress,
		Metrics:                       *metrics,
		Cache:                         cacheOptions(o, labels.NewSelector().Add(*ofCluster)),
		Client:                        clientOptions(),
		WebhookServer: webhook.NewServer(webhook.Options{
			Port: o.webhookPort, CertDir: o.webhookCertDir, CertName: o.webhookCertName, KeyName: o.webhookKeyName, TLSOpts: tlsOptions,
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("create manager: %w", err)
	}
	return mgr, addChecks(mgr, o)
}

func addChecks(mgr ctrl.Manager, o *options) error {
	if o.webhookPort == 0 {
		return nil
	}
	started := mgr.GetWebhookServer().StartedChecker()
	if err := errors.Join(mgr.AddReadyzCheck("webhook", started), mgr.AddHealthzCheck("webhook", started)); err != nil {
		return fmt.Errorf("add health checks: %w", err)
	}
	return nil
}

// cacheOptions keeps out of memory what is no business of ours: of the host's workloads and Secrets only those of a
// headless cluster are seen, and of Secrets no data.
func cacheOptions(o *options, ofCluster labels.Selector) cache.Options {
	ours := cache.ByObject{Label: ofCluster}
	secrets := ours
	secrets.Transform = func(in any) (any, error) {
		if s, ok := in.(*corev1.Secret); ok {
			s.ManagedFields, s.Data = nil, nil
		}
		return in, nil
	}
	co := cache.Options{
		SyncPeriod: &o.syncPeriod,
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: secrets, &corev1.ConfigMap{}: ours, &corev1.Pod{}: ours, &corev1.Service{}: ours,
			&corev1.PersistentVolumeClaim{}: ours, &appsv1.Deployment{}: ours,
		},
	}
	if o.namespace != "" {
		co.DefaultNamespaces = map[string]cache.Config{o.namespace: {}}
	}
	return co
}

// clientOptions reads Secrets and ConfigMaps from the API server: whoever reads one wants its data as it is now.
func clientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{
		DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}}, Unstructured: true,
	}}
}
