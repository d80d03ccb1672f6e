// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"fmt"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/finalizers"
	"sigs.k8s.io/cluster-api/util/patch"
	"sigs.k8s.io/cluster-api/util/paused"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Open begins a reconcile of an object, whose Cluster may be nil. Without a patch.Helper there is nothing to do now: the
// object is paused, or has been written, and comes again. The finalizer is set before anything is made that it is to
// clean up; an empty one is none.
func Open(ctx context.Context, c client.Client, cluster *clusterv1.Cluster, o paused.ConditionSetter, finalizer string) (*patch.Helper, error) {
	if finalizer != "" {
		if added, err := finalizers.EnsureFinalizer(ctx, c, o, finalizer); err != nil || added {
			return nil, err
		}
	}
	isPaused, requeue, err := paused.EnsurePausedCondition(ctx, c, cluster, o)
	if err != nil || isPaused || requeue {
		return nil, err
	}
	helper, err := patch.NewHelper(o, c)
	if err != nil {
		return nil, fmt.Errorf("prepare patch: %w", err)
	}
	return helper, nil
}

// Patch writes an object down, with the conditions that its judge owns. Its generation is observed if the conditions
// speak of it. That an object is gone once its last finalizer is, the patch.Helper knows.
func Patch(ctx context.Context, helper *patch.Helper, o client.Object, owned []string, observed bool) error {
	options := []patch.Option{patch.WithOwnedConditions{Conditions: owned}}
	if observed {
		options = append(options, patch.WithStatusObservedGeneration{})
	}
	return helper.Patch(ctx, o, options...)
}
