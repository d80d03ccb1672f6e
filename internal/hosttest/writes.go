// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// Writes counts what is written to a host cluster in memory.
type Writes struct {
	n int
}

// Funcs are for the client that counts.
func (w *Writes) Funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			w.n++
			return c.Apply(ctx, o, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			w.n++
			return c.Create(ctx, o, opts...)
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.UpdateOption) error {
			w.n++
			return c.Update(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			w.n++
			return c.Patch(ctx, o, p, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			w.n++
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			w.n++
			return c.Delete(ctx, o, opts...)
		},
	}
}

// Count is how many writes there were by now.
func (w *Writes) Count() int { return w.n }

// Settle reconciles until nothing is written any more.
func (w *Writes) Settle(t *testing.T, reconcile func()) {
	t.Helper()
	for range 10 {
		before := w.n
		reconcile()
		if w.n == before {
			return
		}
	}
	t.Fatal("after 10 reconciles there is still something to write")
}
