// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/conflict"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

func conflictsResolve(o *conflictOptions) *cobra.Command {
	var how conflict.Resolution
	var takeOther, force bool
	k := &kubectl{}
	cmd := &cobra.Command{
		Use:   "resolve <id>...",
		Short: "Write down that a person has decided a conflict: it stands as it is, or the other side is taken",
		Long: `Write down that a person has decided a conflict: it stands as it is, or, with
--take-other, the other side's value is taken in its place.

Values are written through an API server, which checks them and tells everybody:
with --kubeconfig, by kubectl, only if the object is still there and has not changed
in between. Without it, --dir of a repository that has main must show that the value
was written; else what to type is printed, and nothing is resolved, unless with
--force. The record stays in Git's history, with who decided, when and how. In a
directory it is written to the branch conflicts; at a hub, to the hub's.`,
		Example: `  gitcd conflicts resolve 2886f83c --config /etc/gitcd/config.yaml --note "main is right"
  gitcd conflicts resolve 2886f83c --take-other --kubeconfig blue.kubeconfig --hub https://hub:8443 --ca ca.crt --cert hub-admin.crt --key hub-admin.key
  gitcd conflicts resolve 2886f83c 91ab07de --dir ./clone --by jane`,
		Args: usage(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if k.config != "" && !takeOther {
				return &usageError{fmt.Errorf("--kubeconfig goes with --take-other: what stands is in the cluster already")}
			}
			if force && (!takeOther || k.config != "") {
				return &usageError{fmt.Errorf("--force goes with --take-other and without --kubeconfig: nothing else is looked at")}
			}
			how.Decision = conflict.Seen
			if takeOther {
				how.Decision = conflict.TookOther
			}
			for _, id := range args {
				if err := o.resolveOne(cmd.Context(), cmd.OutOrStdout(), k, id, how, force); err != nil {
					return err
				}
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&takeOther, "take-other", false, "take the value that the merge did not take")
	f.BoolVar(&force, "force", false, "write down that the other side's value was taken without looking whether it was")
	f.StringVar(&k.config, "kubeconfig", "", "write the value through this API server, with kubectl")
	f.StringVar(&how.By, "by", cmp.Or(os.Getenv("USER"), "somebody"), "who decides")
	f.StringVar(&how.Note, "note", "", "why, for those who read the record")
	return cmd
}

func (o *conflictOptions) resolveOne(ctx context.Context, out io.Writer, k *kubectl, id string, how conflict.Resolution, force bool) error {
	source := o.source()
	k.place = o.place()
	c, err := source.show(ctx, id)
	if err != nil {
		return err
	}
	if c.Record.Resolved != nil {
		return fmt.Errorf("resolve conflict %s: %w, by %s", c.ID, conflict.ErrResolved, c.Record.Resolved.By)
	}
	if how.Decision == conflict.TookOther {
		// The value first: a record never says what has not happened.
		if err := takeSide(ctx, out, source, k, c, force); err != nil {
			return fmt.Errorf("take the other side of conflict %s: %w", c.ID, err)
		}
	}
	if c, err = source.resolve(ctx, c.ID, how); err != nil {
		return err
	}
	if o.output == jsonOutput {
		return writeJSON(out, c)
	}
	_, err = fmt.Fprintf(out, "conflict %s of %s is resolved: %s\n", c.ID, c.Record.Key, how.Decision)
	return err
}

// takeSide has the other side's value written, or finds that it is, or says what to type.
func takeSide(ctx context.Context, out io.Writer, source conflictSource, k *kubectl, c hub.ListedConflict, force bool) error {
	if k.config != "" || force {
		return k.take(ctx, out, c)
	}
	err := source.taken(ctx, c)
	if err != nil {
		err = errors.Join(k.take(ctx, out, c), err)
	}
	return err
}
