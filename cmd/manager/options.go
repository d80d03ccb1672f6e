// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/feature"
	"sigs.k8s.io/cluster-api/util/flags"
	"sigs.k8s.io/controller-runtime/pkg/controller"
)

// options are the manager's flags, named as those of Cluster API's managers.
type options struct {
	providers    []string
	printVersion bool

	watchFilter string
	namespace   string
	concurrency int
	syncPeriod  time.Duration
	qps         float32
	burst       int

	leaderElect   bool
	leaseDuration time.Duration
	renewDeadline time.Duration
	retryPeriod   time.Duration

	webhookPort     int
	webhookCertDir  string
	webhookCertName string
	webhookKeyName  string

	healthAddress   string
	profilerAddress string
	diagnostics     flags.ManagerOptions
}

func defaults() *options {
	return &options{
		concurrency: 10, syncPeriod: 10 * time.Minute, qps: 100, burst: 200,
		leaseDuration: time.Minute, renewDeadline: 40 * time.Second, retryPeriod: 5 * time.Second,
		webhookPort: 9443, webhookCertDir: "/tmp/k8s-webhook-server/serving-certs/",
		webhookCertName: "tls.crt", webhookKeyName: "tls.key", healthAddress: ":9440",
	}
}

func (o *options) addFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.providers, "providers", o.providers, "Providers to run: "+strings.Join(providerNames(), ", "))
	fs.BoolVar(&o.printVersion, "version", o.printVersion, "Print the version and exit")
	fs.StringVar(&o.watchFilter, "watch-filter", o.watchFilter, "Value of the label "+clusterv1.WatchLabel+" of the objects to reconcile; empty for all")
	fs.StringVar(&o.namespace, "namespace", o.namespace, "Namespace of the objects to reconcile; empty for all")
	fs.IntVar(&o.concurrency, "concurrency", o.concurrency, "Objects of a kind to reconcile at the same time")
	fs.DurationVar(&o.syncPeriod, "sync-period", o.syncPeriod, "Time after which every object is reconciled again")
	fs.Float32Var(&o.qps, "kube-api-qps", o.qps, "Queries a second to the host cluster's API server")
	fs.IntVar(&o.burst, "kube-api-burst", o.burst, "Queries at once to the host cluster's API server")
	fs.BoolVar(&o.leaderElect, "leader-elect", o.leaderElect, "Elect a leader among several managers")
	fs.DurationVar(&o.leaseDuration, "leader-elect-lease-duration", o.leaseDuration, "Time after which a silent leader is replaced")
	fs.DurationVar(&o.renewDeadline, "leader-elect-renew-deadline", o.renewDeadline, "Time after which a leader that cannot renew gives up")
	fs.DurationVar(&o.retryPeriod, "leader-elect-retry-period", o.retryPeriod, "Time between attempts to become or stay leader")
	fs.IntVar(&o.webhookPort, "webhook-port", o.webhookPort, "Port of the webhooks; 0 serves none")
	fs.StringVar(&o.webhookCertDir, "webhook-cert-dir", o.webhookCertDir, "Directory of the webhooks' certificate")
	fs.StringVar(&o.webhookCertName, "webhook-cert-name", o.webhookCertName, "File of the certificate in --webhook-cert-dir")
	fs.StringVar(&o.webhookKeyName, "webhook-key-name", o.webhookKeyName, "File of the key in --webhook-cert-dir")
	fs.StringVar(&o.healthAddress, "health-addr", o.healthAddress, "Address of /healthz and /readyz")
	fs.StringVar(&o.profilerAddress, "profiler-address", o.profilerAddress, "Address of the profiler, such as localhost:6060; empty for none")
	flags.AddManagerOptions(fs, &o.diagnostics)
	feature.MutableGates.AddFlag(fs)
}

// validate names every flag that is wrong.
func (o *options) validate() error {
	var errs []error
	if len(o.providers) == 0 {
		errs = append(errs, fmt.Errorf("--providers is missing; write some of %s", strings.Join(providerNames(), ",")))
	}
	for _, p := range o.providers {
		if !slices.Contains(providerNames(), p) {
			errs = append(errs, fmt.Errorf("--providers has %q; write some of %s", p, strings.Join(providerNames(), ",")))
		}
	}
	if o.concurrency < 1 {
		errs = append(errs, fmt.Errorf("--concurrency is %d; write 1 or more", o.concurrency))
	}
	if o.webhookPort < 0 || o.webhookPort > 65535 {
		errs = append(errs, fmt.Errorf("--webhook-port is %d; write a port, or 0 for no webhooks", o.webhookPort))
	}
	return errors.Join(errs...)
}

func (o *options) runs(provider string) bool { return slices.Contains(o.providers, provider) }

func (o *options) controller() controller.Options {
	return controller.Options{MaxConcurrentReconciles: o.concurrency}
}
