// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package repack

import (
	"context"
	"fmt"
	"io"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// Where an object is that the inputs do not have.
type Where uint8

const (
	// Nowhere says that it is missing.
	Nowhere Where = iota
	// Settled objects are in a pack that stays, and so is all that they name.
	Settled
	// Newer objects came later than the inputs: what they name is visited.
	Newer
)

// Around is the repository around the inputs.
type Around interface {
	// Where says where an object is that is not in the inputs.
	Where(id gitobj.ID) Where
	// Get reads such an object.
	Get(id gitobj.ID) (gitobj.Kind, []byte, error)
}

// Roots are what is kept, with all that it reaches.
type Roots struct {
	// Objects are of any kind: heads and tags.
	Objects []gitobj.ID
	// Commits and Trees are what is newer than the inputs, whether a ref reaches it or not.
	Commits, Trees []gitobj.ID
	// Blobs are values that are kept though nothing may name them.
	Blobs []gitobj.ID
}

// Keep adds an object of a known kind.
func (r *Roots) Keep(kind gitobj.Kind, id gitobj.ID) {
	switch kind {
	case gitobj.KindCommit:
		r.Commits = append(r.Commits, id)
	case gitobj.KindTree:
		r.Trees = append(r.Trees, id)
	case gitobj.KindBlob:
		r.Blobs = append(r.Blobs, id)
	default:
		r.Objects = append(r.Objects, id)
	}
}

// Plan is what is to be folded.
type Plan struct {
	// Inputs are the packs, the oldest first; those that stay come last.
	Inputs []Input
	Around Around
	Roots  Roots
	// Shallow are commits whose parents are not kept for their sake.
	Shallow map[gitobj.ID]bool
	// Memory is the budget for contents in bytes. Default 32 MiB.
	Memory int
	// Pace is told how many bytes were read or written, and may wait. Nil: at full speed.
	Pace func(ctx context.Context, n int) error
}

// Result says what a fold came to.
type Result struct {
	Trailer gitobj.ID
	// Lines are those of the new pack's index.
	Lines []pack.IndexEntry
	// Size is the new pack's length.
	Size int64
	// Kept and Dropped are numbers of objects; the records of a journal count as dropped ones.
	Kept, Dropped int
}

const defaultMemory = 32 << 20

// Fold writes one pack of what the roots reach in the inputs.
func Fold(ctx context.Context, p Plan, out io.Writer) (Result, error) {
	f, err := p.walk(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("walk history: %w", err)
	}
	w := newWriter(f.contents, out, func(n int) error { return p.pace(ctx, n) })
	res, err := w.run(ctx, f.kept)
	if err != nil {
		return Result{}, fmt.Errorf("write folded pack: %w", err)
	}
	for i := range p.Inputs {
		if !p.Inputs[i].Stays {
			res.Dropped += p.Inputs[i].Index.Count()
		}
	}
	res.Dropped -= f.kept
	return res, nil
}

// Prove walks from the roots, and says whether all that they reach is there. All inputs stay.
func Prove(ctx context.Context, p Plan) error {
	if _, err := p.walk(ctx); err != nil {
		return fmt.Errorf("walk history: %w", err)
	}
	return nil
}

func (p *Plan) walk(ctx context.Context) (*walk, error) {
	t, err := newTable(p.Inputs)
	if err != nil {
		return nil, err
	}
	if p.Memory <= 0 {
		p.Memory = defaultMemory
	}
	w := newWalk(newContents(t, p.Around, p.Memory, func(n int) error { return p.pace(ctx, n) }), p.Shallow)
	return w, w.run(ctx, p.Roots)
}

func (p *Plan) pace(ctx context.Context, n int) error {
	if p.Pace == nil {
		return nil
	}
	return p.Pace(ctx, n)
}
