// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
)

// Phase does one thing to a scope. It neither sleeps nor writes conditions.
type Phase[S any] func(context.Context, S) error

// ErrStop is what a phase answers when those after it have nothing to begin with. It is no failure.
var ErrStop = errors.New("the phases after this one wait")

// Run runs phases, up to the first that fails or stops.
func Run[S any](ctx context.Context, s S, phases ...Phase[S]) error {
	for _, p := range phases {
		switch err := p(ctx, s); {
		case errors.Is(err, ErrStop):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}
