// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// Merge says how branches meet main, and, where heavens pull from each other, how they meet each other: main stands then
// for whatever branch is on the other side. All who merge the same branches need equal ones: then they get equal results. A
// hub says its own to the heavens that it serves, so only the hub's file has it; heavens without a hub each have it in theirs.
type Merge struct {
	// Owners say which branch owns which fields of which keys. Of two values the owner's stands. The first that fits
	// decides; they are tried before gitcd's own for Kubernetes.
	Owners []Owner `json:"owners,omitempty"`

	// Branches hold what is to be different for some branches. The first that fits a branch counts.
	Branches []BranchMerge `json:"branches,omitempty"`
}

// Owner names the branch that owns fields of keys.
type Owner struct {
	// Key is a key, or with a slash at its end all keys below. One "*" stands for one component.
	Key string `json:"key"`

	// Path of the field, such as .status. Empty: the whole value.
	Path string `json:"path,omitempty"`

	// Branch that owns it; a "*" stands for what the one in Key stood for, and {.spec.nodeName} for what the object says
	// there. Empty: nobody, which lifts a default.
	Branch string `json:"branch"`
}

// BranchMerge says how one branch, or all of a kind, meets main or, without a hub, another branch.
type BranchMerge struct {
	// Branch is a branch, one with "*" for its last part, such as nodes/*, or "*": any.
	Branch string `json:"branch"`

	// Prefer says whose value stands where both changed a field that nobody owns. The first that fits decides.
	Prefer []Preference `json:"prefer,omitempty"`

	// ToMain says which keys main takes from the branch.
	ToMain KeyFilter `json:"toMain,omitzero"`

	// FromMain says which keys the branch takes from main.
	FromMain KeyFilter `json:"fromMain,omitzero"`
}

// Empty says whether nothing is different for the branch.
func (b BranchMerge) Empty() bool {
	return len(b.Prefer) == 0 && b.ToMain.empty() && b.FromMain.empty()
}

// Preference takes one side where both changed a field.
type Preference struct {
	// Key as in Owner. Empty: every key.
	Key string `json:"key,omitempty"`

	// Path as in Owner. Empty: everything.
	Path string `json:"path,omitempty"`

	// Take is ours, the branch's value, or theirs, main's.
	Take Take `json:"take"`
}

// Take is a side of a merge, as a branch sees it.
type Take string

const (
	// TakeOurs is the branch's side.
	TakeOurs Take = "ours"

	// TakeTheirs is main's side.
	TakeTheirs Take = "theirs"
)

// KeyFilter chooses keys. What it leaves out stays where it is, and is merged when the filter lets it.
type KeyFilter struct {
	// Include holds keys as in Owner. Empty: all.
	Include []string `json:"include,omitempty"`

	// Exclude holds keys as in Owner, and counts more than Include.
	Exclude []string `json:"exclude,omitempty"`
}

func (f KeyFilter) empty() bool { return len(f.Include) == 0 && len(f.Exclude) == 0 }

// saidThere is a place in a branch's name that stands for what the object says.
var saidThere = regexp.MustCompile(`\{\.[^{}]+\}`)

// fieldPath begins like the paths of conflict records: .spec.replicas or .metadata.labels["a/b"].
var fieldPath = regexp.MustCompile(`^([.\[][^\s]+.*)?$`)

// longestMerge is how long the settings may be in JSON: a hub says them on one line to each heaven.
const longestMerge = 64 << 10

func (m *Merge) validate(p *problems) {
	if text, err := json.Marshal(m); err != nil || len(text) > longestMerge {
		p.add("merge", "takes %d bytes as JSON; %d is the most: write patterns in place of long lists", len(text), longestMerge)
	}
	for i, o := range m.Owners {
		field := fmt.Sprintf("merge.owners[%d]", i)
		p.keyPattern(field+".key", o.Key)
		p.path(field+".path", o.Path)
		if strings.Contains(o.Branch, "*") && !strings.Contains(o.Key, "*") {
			p.add(field+".branch", "is %q, but key %q has no * that says what it stands for", o.Branch, o.Key)
		}
		if o.Branch != "" {
			p.branch(field+".branch", strings.Replace(saidThere.ReplaceAllString(o.Branch, "x"), "*", "x", 1))
		}
	}
	for i, b := range m.Branches {
		field := fmt.Sprintf("merge.branches[%d]", i)
		p.branch(field+".branch", strings.Replace(b.Branch, "*", "x", 1))
		for k, f := range b.Prefer {
			at := fmt.Sprintf("%s.prefer[%d]", field, k)
			if f.Key != "" {
				p.keyPattern(at+".key", f.Key)
			}
			p.path(at+".path", f.Path)
			if f.Take != TakeOurs && f.Take != TakeTheirs {
				p.add(at+".take", "is %q; write ours, the branch's value, or theirs, main's", f.Take)
			}
		}
		p.filter(field+".toMain", b.ToMain)
		p.filter(field+".fromMain", b.FromMain)
	}
}

func (p *problems) filter(field string, f KeyFilter) {
	for i, key := range f.Include {
		p.keyPattern(fmt.Sprintf("%s.include[%d]", field, i), key)
	}
	for i, key := range f.Exclude {
		p.keyPattern(fmt.Sprintf("%s.exclude[%d]", field, i), key)
	}
}

// keyPattern wants a key of Kubernetes'.
func (p *problems) keyPattern(field, key string) {
	if !strings.HasPrefix(key, "/") || strings.Count(key, "*") > 1 {
		p.add(field, "is %q; write a key such as /registry/minions/*, with one * at most, or with a slash at its end for all below", key)
	}
}

func (p *problems) path(field, path string) {
	if !fieldPath.MatchString(path) {
		p.add(field, "is %q; write a field's path such as .spec.replicas, or leave it out for the whole value", path)
	}
}
