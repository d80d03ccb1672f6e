// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/images"
)

func newImages(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "Make container images from the binaries and load them",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newImagesBuild(f), newImagesLoad(f))
	return cmd
}

func newImagesBuild(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:     "build [image or binary ...]",
		Short:   "Make the archives of images whose binaries have changed",
		Long:    "Make the archives of the named images, or of all whose binaries are there. Equal binaries make equal bytes.",
		Example: "  sandbox images build\n  sandbox images build gitcd manager",
		RunE: func(cmd *cobra.Command, args []string) error {
			list, err := images.Select(args...)
			if err != nil {
				return &usageError{err}
			}
			archives, missing := images.Build(cmd.Context(), f.config, list)
			var none *images.MissingBinaryError
			if missing != nil && !errors.As(missing, &none) {
				return missing
			}
			if f.output == "json" {
				if err := printJSON(cmd, archives); err != nil {
					return err
				}
			} else {
				for _, a := range archives {
					_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%-5s %s %s\n", age(a.Fresh, "made", "kept"), a.Digest[:19], a.Ref)
				}
			}
			if len(args) > 0 {
				return missing
			}
			if missing != nil {
				_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "not made:\n%v\n", missing)
			}
			return nil
		},
	}
}

func newImagesLoad(f *flags) *cobra.Command {
	target := images.Target{}
	cmd := &cobra.Command{
		Use:     "load [image or binary ...]",
		Short:   "Import images into a containerd that lacks them",
		Long:    "Make the named images, or all whose binaries are there, and import those whose digest the containerd lacks.",
		Example: "  sandbox images load\n  sandbox images load --address /run/vm1/containerd.sock agnhost pause",
		RunE: func(cmd *cobra.Command, args []string) error {
			if target.Address == "" {
				target.Address = f.config.ContainerdSocket()
			}
			loaded, err := images.Load(cmd.Context(), f.config, target, args...)
			if errors.Is(err, images.ErrUnknown) {
				return &usageError{err}
			}
			if err != nil {
				return err
			}
			if f.output == "json" {
				return printJSON(cmd, loaded)
			}
			for _, l := range loaded {
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%-8s %s %s\n", age(l.Imported, "imported", "there"), l.Digest[:19], l.Ref)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&target.Address, "address", "", "containerd's socket (default the host's)")
	cmd.Flags().StringVar(&target.Namespace, "namespace", "k8s.io", "containerd's namespace")
	return cmd
}

// age chooses a word.
func age(fresh bool, yes, no string) string {
	if fresh {
		return yes
	}
	return no
}
