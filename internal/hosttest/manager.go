// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"context"
	"testing"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
)

// Reconciler is what a controller's folder is for.
type Reconciler interface {
	SetupWithManager(ctx context.Context, mgr ctrl.Manager, o controller.Options) error
}

// Run runs reconcilers in a manager until the test ends.
func Run(t *testing.T, mgr ctrl.Manager, o controller.Options, reconcilers ...Reconciler) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	for _, r := range reconcilers {
		if err := r.SetupWithManager(ctx, mgr, o); err != nil {
			stop()
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("manager: %v", err)
		}
	})
}
