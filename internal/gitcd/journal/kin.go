// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// kin are the values of a segment that others in it are written as deltas of.
// Objects of one kind begin with the same lines and have most of the others in
// common, so that a delta takes half of the bytes, for a tenth of what
// compressing them would cost. A delta's base is always whole: to read a value
// two entries are read at most.
type kin struct {
	families map[string]*family // by how the values begin
	held     int                // bytes of their members
	delta    pack.LineDelta
}

// family is the values that begin alike: the one used last comes first.
type family struct{ members [2]member }

// member is a value that is whole in the segment.
type member struct {
	at   int32  // its place in the segment's entries
	off  uint32 // where its entry begins
	data []byte
}

const (
	// familyLines is how many lines make a family: an object's kind and version are in them.
	familyLines = 3
	// longestBeginning is the most that these lines take.
	longestBeginning = 256
	// mostKinBytes bounds what the members of all families take in memory.
	mostKinBytes = 1 << 20
	// A value that is shorter or longer has no family.
	leastKin, mostKin = 256, 64 << 10
)

// familyOf returns how a value begins, nil if it has no family.
func familyOf(o *Object) []byte {
	if o.Kind != gitobj.KindBlob || len(o.Data) < leastKin || len(o.Data) > mostKin {
		return nil
	}
	end := 0
	for range familyLines {
		n := bytes.IndexByte(o.Data[end:longestBeginning], '\n')
		if n < 0 {
			return nil
		}
		end += n + 1
	}
	return o.Data[:end]
}

// deltaOf returns a value as a delta of one that is alike, if there is one. The
// delta is valid until the next call.
func (k *kin) deltaOf(o *Object) (delta []byte, base member, ok bool) {
	begins := familyOf(o)
	if begins == nil {
		return nil, member{}, false
	}
	f := k.families[string(begins)]
	if f == nil {
		return nil, member{}, false
	}
	for i := range f.members {
		if f.members[i].data == nil {
			break
		}
		if delta = k.delta.Make(f.members[i].data, o.Data); len(delta) <= len(o.Data)*3/4 {
			f.members[0], f.members[i] = f.members[i], f.members[0]
			return delta, f.members[0], true
		}
	}
	return nil, member{}, false
}

// add makes a value that was written whole a member of its family, in place of
// the one that was used longer ago.
func (k *kin) add(o *Object, at int, off uint32) {
	begins := familyOf(o)
	if begins == nil {
		return
	}
	f := k.families[string(begins)]
	if f == nil {
		f = &family{}
	}
	last := len(f.members) - 1
	held := k.held + len(o.Data) - len(f.members[last].data)
	if held > mostKinBytes {
		return
	}
	if k.families == nil {
		k.families = map[string]*family{}
	}
	k.held = held
	copy(f.members[1:], f.members[:last])
	f.members[0] = member{at: int32(at), off: off, data: o.Data} //nolint:gosec // a segment has fewer than 2G entries
	k.families[string(begins)] = f
}

// forget drops all families: what was said of the last batch did not come true.
func (k *kin) forget() { k.families, k.held = nil, 0 }
