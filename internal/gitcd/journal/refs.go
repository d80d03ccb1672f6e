// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"maps"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Ref returns what a ref points to.
func (j *Journal) Ref(name string) (gitobj.ID, bool) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	r := j.mu.refs[name]
	return r.id, !r.id.IsZero()
}

// Refs returns the refs whose names begin with prefix.
func (j *Journal) Refs(prefix string) map[string]gitobj.ID {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.refsLocked(prefix)
}

func (j *Journal) refsLocked(prefix string) map[string]gitobj.ID {
	out := make(map[string]gitobj.ID, len(j.mu.refs))
	for name, r := range j.mu.refs {
		if !r.id.IsZero() && strings.HasPrefix(name, prefix) {
			out[name] = r.id
		}
	}
	return out
}

// Changed returns a channel that is closed when a ref next changes. Take it
// before looking at the refs, so that no change is missed.
func (j *Journal) Changed() <-chan struct{} {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.mu.changed
}

// showRefs lets readers see the changes that have become durable.
func (j *Journal) showRefs(durable uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := 0
	for _, c := range j.mu.pending {
		if c.seq > durable {
			break
		}
		j.showLocked(c)
		n++
	}
	j.mu.pending = append(j.mu.pending[:0], j.mu.pending[n:]...)
}

func (j *Journal) showLocked(c refChange) {
	for _, r := range c.refs {
		if j.mu.refs[r.Name].seq <= c.seq { // a later change may have shown already
			j.mu.refs[r.Name] = visibleRef{id: r.New, seq: c.seq}
		}
	}
	j.mu.refChanges++
	close(j.mu.changed)
	j.mu.changed = make(chan struct{})
}

// planRefs checks all updates of the frames, in order, against the refs, and
// returns them. It changes nothing.
func planRefs(refs map[string]gitobj.ID, frames []Frame) ([]RefUpdate, error) {
	var plan []RefUpdate
	changed := map[string]gitobj.ID{}
	now := func(name string) gitobj.ID {
		if id, ok := changed[name]; ok {
			return id
		}
		return refs[name]
	}
	for _, f := range frames {
		for _, r := range f.Refs {
			have := now(r.Name)
			if have != r.Old {
				return nil, &RefConflictError{Name: r.Name, Want: r.Old, Have: have}
			}
			if have.IsZero() && !r.New.IsZero() {
				if err := checkNewRef(r.Name, refs, changed); err != nil {
					return nil, err
				}
			}
			changed[r.Name] = r.New
			plan = append(plan, r)
		}
	}
	return plan, nil
}

// checkNewRef refuses a name that is illegal, or that is a directory of other refs, or the other way round.
func checkNewRef(name string, refs, changed map[string]gitobj.ID) error {
	if !legalRef(name) {
		return fmt.Errorf("create %q: %w", name, ErrBadRef)
	}
	all := maps.Clone(refs)
	maps.Copy(all, changed)
	for other, id := range all {
		if !id.IsZero() && (strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/")) {
			return fmt.Errorf("create %q beside %q: %w", name, other, ErrBadRef)
		}
	}
	return nil
}

// legalRef says whether Git takes a ref's name; see git check-ref-format.
func legalRef(name string) bool {
	rest, ok := strings.CutPrefix(name, "refs/")
	if !ok || strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.HasSuffix(name, ".") {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f || strings.IndexByte(`~^:?*[\`, c) >= 0 {
			return false
		}
	}
	for part := range strings.SplitSeq(rest, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

// applyRefs makes updates that were checked before.
func applyRefs(refs map[string]gitobj.ID, updates []RefUpdate) {
	for _, r := range updates {
		if r.New.IsZero() {
			delete(refs, r.Name)
		} else {
			refs[r.Name] = r.New
		}
	}
}
