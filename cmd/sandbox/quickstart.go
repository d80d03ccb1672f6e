// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/quickstart"
)

func newQuickstart(f *flags) *cobra.Command {
	o := quickstart.Options{}
	story := func(cmd *cobra.Command) (*quickstart.Story, *narrate.Narrator, error) {
		if err := needRoot(); err != nil {
			return nil, nil, err
		}
		if o.Host != quickstart.Sandbox && o.Host != quickstart.Existing {
			return nil, nil, &usageError{fmt.Errorf("--host %q: use sandbox or existing", o.Host)}
		}
		if o.Root == "" {
			o.Root = filepath.Dir(f.config.BinDir)
		}
		o.Kubeconfig = os.Getenv("KUBECONFIG")
		tell := f.narrator(cmd)
		s, err := quickstart.New(f.config, o, tell, clock.RealClock{})
		return s, tell, err
	}
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "From nothing to a headless cluster with pods that answer",
		Long: `Bring a host up, install the providers with clusterctl, create a headless cluster
with a worker, run pods on it, and show what there is to see. It goes on where an
earlier run stopped.`,
		Example: "  sudo sandbox quickstart\n  sudo KUBECONFIG=$HOME/.kube/config sandbox quickstart --host existing",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, tell, err := story(cmd)
			if err != nil {
				return err
			}
			if err := s.Tell(cmd.Context()); err != nil {
				return err
			}
			tell.Sayf("done")
			if f.output == "json" {
				return printJSON(cmd, s.Record())
			}
			return nil
		},
	}
	down := &cobra.Command{
		Use:     "down",
		Short:   "Remove all that the quick start made, and nothing else",
		Example: "  sudo sandbox quickstart down",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, _, err := story(cmd)
			if err != nil {
				return err
			}
			return s.Down(cmd.Context())
		},
	}
	p := cmd.PersistentFlags()
	p.StringVar((*string)(&o.Host), "host", string(quickstart.Sandbox), "sandbox, or existing: the cluster of $KUBECONFIG")
	p.StringVar(&o.Root, "root", "", "the checkout (default the parent of the directory of binaries)")
	p.StringVar(&o.Cluster, "cluster", "blue", "the headless cluster's name")
	p.StringVarP(&o.Namespace, "namespace", "n", "default", "its namespace on the host")
	p.IntVar(&o.Pods, "pods", 3, "how many pods the Deployment has")
	cmd.AddCommand(down)
	return cmd
}
