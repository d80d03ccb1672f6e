// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package repack

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash"
	"io"
	"math"
	"slices"

	"github.com/pjbgf/sha1cd"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// Chains of deltas: a new one ends at newDepth, as Git's do. Copied ones may
// come to lie on others: they go on to copiedDepth, then one is written whole.
const (
	newDepth    = 50
	copiedDepth = 200
)

// writer writes the new pack.
type writer struct {
	*contents
	out  io.Writer
	pace func(int) error
	sum  hash.Hash
	off  int64
	res  Result
	// raw and buf are used again for each entry.
	raw, buf []byte
}

func newWriter(c *contents, out io.Writer, pace func(int) error) *writer {
	return &writer{contents: c, out: out, pace: pace, sum: sha1cd.New()}
}

// run writes commits and trees, the oldest first, then blobs, the youngest first.
func (w *writer) run(ctx context.Context, kept int) (Result, error) {
	w.res.Kept = kept
	w.res.Lines = make([]pack.IndexEntry, 0, kept)
	if err := w.write(pack.AppendHeader(nil, uint32(kept))); err != nil { //nolint:gosec // fewer than 2G entries
		return Result{}, err
	}
	for _, kinds := range [][]gitobj.Kind{{gitobj.KindCommit, gitobj.KindTag}, {gitobj.KindTree}, {gitobj.KindBlob}} {
		for _, place := range w.order(kinds...) {
			if err := ctx.Err(); err != nil {
				return Result{}, err
			}
			if err := w.entry(place); err != nil {
				return Result{}, err
			}
		}
	}
	if len(w.res.Lines) != kept {
		return Result{}, fmt.Errorf("%d objects were written, %d are kept", len(w.res.Lines), kept)
	}
	w.sum.Sum(w.res.Trailer[:0])
	if _, err := w.out.Write(w.res.Trailer[:]); err != nil {
		return Result{}, err
	}
	w.res.Size = w.off + pack.TrailerSize
	return w.res, nil
}

// order returns the places of what is kept of these kinds. Trees lie behind
// those before them. Of blobs, the youngest come first: in an input that a fold
// made they lie so already.
func (w *writer) order(kinds ...gitobj.Kind) []int32 {
	var out []int32
	for place := range w.table.entries {
		e := &w.table.entries[place]
		if slices.Contains(kinds, e.kind) && !w.table.inputs[e.input].Stays {
			out = append(out, int32(place))
		}
	}
	slices.SortFunc(out, func(a, b int32) int {
		x, y := &w.table.entries[a], &w.table.entries[b]
		byInput, byOffset := cmp.Compare(x.input, y.input), cmp.Compare(x.off, y.off)
		if kinds[0] == gitobj.KindBlob {
			byInput = -byInput
			if !w.table.inputs[x.input].Folded {
				byOffset = -byOffset
			}
		}
		return cmp.Or(byInput, byOffset)
	})
	return out
}

func (w *writer) write(b []byte) error {
	w.sum.Write(b)
	w.off += int64(len(b))
	if w.off > math.MaxUint32 {
		return fmt.Errorf("the pack would have more than %d bytes", uint32(math.MaxUint32))
	}
	if _, err := w.out.Write(b); err != nil {
		return err
	}
	return w.pace(len(b))
}

// entry writes one object, in the shortest of the ways that are at hand.
func (w *writer) entry(place int32) error {
	raw, err := w.table.raw(place, w.raw)
	if err != nil {
		return err
	}
	w.raw = raw
	if err := w.pace(len(raw)); err != nil {
		return err
	}
	head, n, err := pack.ParseEntry(raw)
	if err != nil {
		return fmt.Errorf("read %s at byte %d: %w", w.table.inputs[w.table.entries[place].input].Name, w.table.entries[place].off, err)
	}
	if head.IsDelta() {
		if base := w.writtenBase(place, head); base != none && w.table.entries[base].depth < copiedDepth {
			return w.copied(place, base, head, raw[n:])
		}
		return w.object(place, head, nil)
	}
	if e := &w.table.entries[place]; head.Type != pack.Type(e.kind) {
		return fmt.Errorf("%s is of type %d, but a %s is named: %w", e.id, head.Type, e.kind, gitobj.ErrMalformed)
	}
	return w.object(place, head, raw[n:])
}

// writtenBase returns the place of a delta's base, if that is in the new pack already.
func (w *writer) writtenBase(place int32, head pack.Entry) int32 {
	base, id := w.baseOf(place, head)
	if base != none { // of several copies, the one that counts
		base = w.table.find(id)
	}
	if base == none || w.table.entries[base].at == 0 {
		return none
	}
	return base
}

// object writes an object as a delta of its relative, or whole. head and stream
// are those of the whole object, if its input has that.
func (w *writer) object(place int32, head pack.Entry, stream []byte) error {
	e := &w.table.entries[place]
	if e.rel != none {
		done, err := w.asDelta(place, e.rel)
		if done || err != nil {
			return err
		}
	}
	if stream == nil {
		o, err := w.at(place)
		if err != nil {
			return err
		}
		return w.emit(place, none, pack.Entry{Type: pack.Type(o.kind), Size: int64(len(o.data))}, o.data, nil)
	}
	data, _, stored := pack.Stored(stream)
	if stored {
		return w.emit(place, none, head, data, nil)
	}
	return w.emit(place, none, head, nil, stream)
}

// copied writes a delta as it is, on its base's new place.
func (w *writer) copied(place, base int32, head pack.Entry, stream []byte) error {
	e := pack.Entry{Type: pack.OfsDelta, Size: head.Size}
	if data, _, ok := pack.Stored(stream); ok {
		return w.emit(place, base, e, data, nil)
	}
	return w.emit(place, base, e, nil, stream)
}

// asDelta writes an object as a delta, if its relative is written, the chain
// is not too long, and it is worth it.
func (w *writer) asDelta(place, rel int32) (bool, error) {
	r := &w.table.entries[rel]
	if r.at == 0 || r.depth >= newDepth || r.kind != w.table.entries[place].kind || rel == place {
		return false, nil
	}
	base, err := w.at(rel)
	if err != nil {
		return false, err
	}
	o, err := w.at(place)
	if err != nil {
		return false, err
	}
	delta, ok := deltaOf(base.data, o.data)
	if !ok {
		return false, nil
	}
	if again, err := pack.ApplyDelta(base.data, delta); err != nil || !bytes.Equal(again, o.data) { // R2
		return false, fmt.Errorf("the delta of %s on %s does not give it back: %w", w.table.entries[place].id, r.id, err)
	}
	return true, w.emit(place, rel, pack.Entry{Type: pack.OfsDelta, Size: int64(len(delta))}, delta, nil)
}

// emit writes an entry: data, which it compresses, or a stream as it is. base is none for one that is whole.
func (w *writer) emit(place, base int32, head pack.Entry, data, stream []byte) error {
	e := &w.table.entries[place]
	at := w.off
	if base != none {
		head.Distance = at - int64(w.table.entries[base].at)
		e.depth = w.table.entries[base].depth + 1
	}
	w.buf = pack.AppendEntry(w.buf[:0], head)
	if stream != nil {
		w.buf = append(w.buf, stream...)
	} else {
		n := len(w.buf)
		var err error
		if w.buf, err = pack.AppendDeflated(w.buf, data); err != nil {
			return err
		}
		if len(w.buf)-n >= pack.StoredSize(len(data)) {
			w.buf = pack.AppendStored(w.buf[:n], data)
		}
	}
	e.at = uint32(at) //nolint:gosec // bounded by write
	w.res.Lines = append(w.res.Lines, pack.IndexEntry{ID: e.id, CRC: checksum(w.buf), Offset: at})
	return w.write(w.buf)
}
