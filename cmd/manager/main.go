// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Command manager runs the controllers and webhooks of the headless providers. It is wiring only.
//
//	--providers=control-plane   HeadlessControlPlane, TrishankuHeaven, AutomatedMerge
//	--providers=bootstrap       HeadlessConfig
//	--providers=infrastructure  GitBackedCluster, GitBackedMachine, GitRepository
//
// One image serves all three; each provider of a release runs its own manager with the rights that it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
	logsv1 "k8s.io/component-base/logs/api/v1"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// version is set by the linker.
var version = "v0.0.0-dev"

func main() {
	if err := run(ctrl.SetupSignalHandler(), os.Args[1:]); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintf(os.Stderr, "manager: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o, logging := defaults(), logs.NewOptions()
	fs := pflag.NewFlagSet("manager", pflag.ContinueOnError)
	fs.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	fs.AddGoFlagSet(flag.CommandLine) // --kubeconfig
	logsv1.AddFlags(logging, fs)
	o.addFlags(fs)
	if err := fs.Set("v", "2"); err != nil {
		return fmt.Errorf("set default log level: %w", err)
	}
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("read flags: %w (--help lists them)", err)
	}
	if o.printVersion {
		fmt.Println(version)
		return nil
	}
	if err := o.validate(); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	if err := logsv1.ValidateAndApply(logging, nil); err != nil {
		return fmt.Errorf("set up logging: %w", err)
	}
	ctrl.SetLogger(klog.Background())
	ctx = ctrl.LoggerInto(ctx, klog.Background())

	mgr, err := newManager(o)
	if err != nil {
		return err
	}
	for _, p := range providers {
		if !o.runs(p.name) {
			continue
		}
		if err := p.setup(ctx, mgr, o); err != nil {
			return fmt.Errorf("set up provider %s: %w", p.name, err)
		}
	}
	klog.InfoS("Starting", "version", version, "providers", o.providers)
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run manager: %w", err)
	}
	return nil
}
