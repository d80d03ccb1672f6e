// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Command machines is a machine controller for tests: the controller is
// gardener's, unmodified; the cloud behind it is a directory. The module also
// pins machine-controller-manager, which makes Machines of a MachineDeployment.
//
//	Machine ─► gardener's machine controller ─► driver ─► <directory>/<machine>.json ◄─ test: a Node for each
//	   ▲                                                   the MachineClass's providerSpec names the directory
//	   └── machine-controller-manager ◄─ MachineDeployment
//
// # Laws
//
//  1. The controllers are those of the pinned module; only the driver is ours.
//  2. A machine is there if and only if its file is: what was created is seen by
//     GetMachineStatus and ListMachines of any later process, what was deleted is not.
//  3. An error has one of gardener's codes, and no brackets in its text: gardener reads codes out of texts.
//
// What a cloud has beyond that is left out: nothing boots, creation takes no
// time and never fails for lack of quota, there are no volumes, no addresses but
// one for documentation, and no credentials. Whoever runs it makes the Nodes.
package main

import (
	"fmt"
	"os"

	_ "github.com/gardener/machine-controller-manager/pkg/util/client/metrics/prometheus" // registers itself, as in gardener's own providers
	"github.com/gardener/machine-controller-manager/pkg/util/provider/app"
	"github.com/gardener/machine-controller-manager/pkg/util/provider/app/options"
	_ "github.com/gardener/machine-controller-manager/pkg/util/reflector/prometheus"
	_ "github.com/gardener/machine-controller-manager/pkg/util/workqueue/prometheus"
	"github.com/spf13/pflag"
	"k8s.io/component-base/cli/flag"
	"k8s.io/component-base/logs"
)

func main() {
	s := options.NewMCServer()
	s.AddFlags(pflag.CommandLine)
	flag.InitFlags()
	logs.InitLogs()
	defer logs.FlushLogs()
	if err := app.Run(s, directories{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
