// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"

	"github.com/trishanku-org/cluster-api-provider-headless/controllers/automatedmerge"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/gitbackedcluster"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/gitbackedmachine"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/gitrepository"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/headlessconfig"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/headlesscontrolplane"
	"github.com/trishanku-org/cluster-api-provider-headless/controllers/trishankuheaven"
	bootstrapwebhooks "github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/bootstrap"
	controlplanewebhooks "github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/controlplane"
	infrawebhooks "github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/infrastructure"
)

// provider is what one value of --providers runs.
type provider struct {
	name        string
	controllers func(ctx context.Context, mgr ctrl.Manager, o *options) error
	webhooks    func(mgr ctrl.Manager) error
}

var providers = []provider{
	{"control-plane", controlPlaneControllers, controlplanewebhooks.SetupWithManager},
	{"bootstrap", bootstrapControllers, bootstrapwebhooks.SetupWithManager},
	{"infrastructure", infrastructureControllers, infrawebhooks.SetupWithManager},
}

func providerNames() []string {
	names := make([]string, 0, len(providers))
	for _, p := range providers {
		names = append(names, p.name)
	}
	return names
}

func (p provider) setup(ctx context.Context, mgr ctrl.Manager, o *options) error {
	if err := p.controllers(ctx, mgr, o); err != nil {
		return err
	}
	if o.webhookPort == 0 {
		return nil
	}
	return p.webhooks(mgr)
}

// reconciler is what every folder below controllers/ has.
type reconciler interface {
	SetupWithManager(ctx context.Context, mgr ctrl.Manager, o controller.Options) error
}

func setupAll(ctx context.Context, mgr ctrl.Manager, o *options, all ...reconciler) error {
	for _, r := range all {
		if err := r.SetupWithManager(ctx, mgr, o.controller()); err != nil {
			return err
		}
	}
	return nil
}

func controlPlaneControllers(ctx context.Context, mgr ctrl.Manager, o *options) error {
	c, now := mgr.GetClient(), clock.RealClock{}
	return setupAll(ctx, mgr, o,
		&headlesscontrolplane.Reconciler{
			Client: c, Clock: now, WatchFilterValue: o.watchFilter,
			Recorder: mgr.GetEventRecorder("headlesscontrolplane-controller"), Prober: headlesscontrolplane.HTTPProber{},
		},
		&trishankuheaven.Reconciler{
			Client: c, Clock: now, WatchFilterValue: o.watchFilter,
			Recorder: mgr.GetEventRecorder("trishankuheaven-controller"),
		},
		&automatedmerge.Reconciler{
			Client: c, Clock: now, WatchFilterValue: o.watchFilter,
			Recorder: mgr.GetEventRecorder("automatedmerge-controller"), Hubs: automatedmerge.HTTPHubs{},
		},
	)
}

func bootstrapControllers(ctx context.Context, mgr ctrl.Manager, o *options) error {
	return setupAll(ctx, mgr, o,
		&headlessconfig.Reconciler{Client: mgr.GetClient(), Clock: clock.RealClock{}, WatchFilterValue: o.watchFilter},
	)
}

func infrastructureControllers(ctx context.Context, mgr ctrl.Manager, o *options) error {
	return setupAll(ctx, mgr, o,
		&gitrepository.Reconciler{Client: mgr.GetClient(), WatchFilterValue: o.watchFilter},
		&gitbackedcluster.Reconciler{Client: mgr.GetClient(), WatchFilterValue: o.watchFilter},
		&gitbackedmachine.Reconciler{Client: mgr.GetClient(), WatchFilterValue: o.watchFilter},
	)
}
