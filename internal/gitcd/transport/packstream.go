// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// readPack takes a pack in, within the limits. The objects bear the ids of
// their content; nothing is known yet of what they name.
func readPack(ctx context.Context, r io.Reader, store Objects, limits Limits) ([]Object, error) {
	var came []Object
	at := map[gitobj.ID]int{}
	emit := func(o Object) error {
		at[o.ID] = len(came)
		came = append(came, o)
		return ctx.Err()
	}
	base := func(id gitobj.ID) (gitobj.Kind, []byte, error) {
		if i, ok := at[id]; ok {
			return came[i].Kind, came[i].Data, nil
		}
		return store.Get(id)
	}
	err := pack.Scan(r, base, emit, pack.Limits{
		Objects:     limits.Objects,
		ObjectBytes: limits.ObjectBytes,
		TotalBytes:  limits.TotalBytes,
		PackBytes:   limits.PackBytes,
	})
	if errors.Is(err, pack.ErrLimit) {
		return nil, fmt.Errorf("%w: %w", ErrLimit, err)
	}
	if err != nil {
		return nil, err
	}
	return came, nil
}

// writePack sends items as a pack. What is much like its base goes as a delta of it.
func writePack(ctx context.Context, w io.Writer, store Objects, items []Item) error {
	out := pack.NewWriter(w, len(items))
	for _, it := range items {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("send pack: %w", err)
		}
		kind, data, err := store.Get(it.ID)
		if err != nil {
			return fmt.Errorf("send pack: get %s: %w", it.ID, err)
		}
		if err := writeItem(out, store, it, kind, data); err != nil {
			return fmt.Errorf("send pack: %w", err)
		}
	}
	if _, err := out.Close(); err != nil {
		return fmt.Errorf("send pack: %w", err)
	}
	return nil
}

func writeItem(out *pack.Writer, store Objects, it Item, kind gitobj.Kind, data []byte) error {
	if it.Base.IsZero() || len(data) < minDelta {
		return out.WriteObject(kind, data)
	}
	baseKind, base, err := store.Get(it.Base)
	if err != nil || baseKind != kind {
		return out.WriteObject(kind, data) // a delta only saves space
	}
	if delta, ok := deltaOf(kind, base, data); ok {
		return out.WriteDelta(it.Base, delta)
	}
	return out.WriteObject(kind, data)
}
