// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package trishankuheaven

import (
	"cmp"
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// removeWorkload deletes the Deployment, and waits for its pod to hand in what it has.
func (r *Reconciler) removeWorkload(ctx context.Context, s *scope) error {
	// The server itself is asked: that a pod is gone must not be a cache's mistake.
	if err := listPods(ctx, cmp.Or(r.live, client.Reader(r.Client)), s); err != nil {
		return err
	}
	if d := s.deployment; d != nil && metav1.IsControlledBy(d, s.heaven) {
		s.remaining = "Deployment " + d.Name
		if d.DeletionTimestamp.IsZero() {
			if err := r.Client.Delete(ctx, d, client.PropagationPolicy(metav1.DeletePropagationBackground)); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("delete Deployment %s: %w", d.Name, err)
			}
		}
		return nil
	}
	if len(s.pods) > 0 {
		s.remaining = fmt.Sprintf("pod %s, which hands in its last commits", s.pods[0].Name)
	}
	return nil
}

// removeFinalizer lets the heaven go. The garbage collector takes what it owns.
func (r *Reconciler) removeFinalizer(_ context.Context, s *scope) error {
	if s.remaining == "" {
		controllerutil.RemoveFinalizer(s.heaven, heavenv1.HeavenFinalizer)
	}
	return nil
}
