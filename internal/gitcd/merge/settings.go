// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Settings is what a configuration says of merges. The hub and all heavens of
// a cluster need equal ones: then both ends of a merge come to one result.
type Settings struct {
	// Owners come before DefaultOwners; the first that fits decides.
	Owners OwnerRules `json:"owners,omitempty"`
	// Branches hold what is to be different for some branches; the first that fits counts.
	Branches []BranchSettings `json:"branches,omitempty"`
}

// BranchSettings say how a branch, or all branches of a kind, meet the integrator.
type BranchSettings struct {
	// Branch is a branch; a "*" in it stands for one component, and "*" alone for every branch.
	Branch string `json:"branch"`
	// Prefer says whose value stands where nobody owns the field; the first that fits decides.
	Prefer []Preference `json:"prefer,omitempty"`
	// ToMain says which keys the integrator takes from the branch, FromMain which the branch takes from it.
	ToMain   Filter `json:"toMain,omitzero"`
	FromMain Filter `json:"fromMain,omitzero"`
}

// Preference takes one side where both changed a field.
type Preference struct {
	// Key is a key pattern (see Fits); empty for every key.
	Key string `json:"key,omitempty"`
	// Path of the field; empty for everything.
	Path string `json:"path,omitempty"`
	// Take is the side as the branch sees it: Ours is the branch's value, Theirs the integrator's.
	Take Side `json:"take"`
}

// Filter chooses keys. What it leaves out is held back, not dropped: see Policy.Filters.
type Filter struct {
	// Include are key patterns (see Fits); none include every key.
	Include []string `json:"include,omitempty"`
	// Exclude are key patterns that count more than those of Include.
	Exclude []string `json:"exclude,omitempty"`
}

// IsZero says whether the filter lets everything pass.
func (f Filter) IsZero() bool { return len(f.Include) == 0 && len(f.Exclude) == 0 }

// Holds says whether the filter leaves a key out.
func (f Filter) Holds(key string) bool {
	included := len(f.Include) == 0
	for _, pattern := range f.Include {
		_, ok := Fits(pattern, key)
		included = included || ok
	}
	if !included {
		return true
	}
	for _, pattern := range f.Exclude {
		if _, ok := Fits(pattern, key); ok {
			return true
		}
	}
	return false
}

// Fits matches a key with a pattern: a key, or with a slash at its end the keys
// below. One "*" stands for one component; Fits returns which.
func Fits(pattern, key string) (star string, ok bool) {
	prefix, suffix, hasStar := strings.Cut(pattern, "*")
	rest, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return "", false
	}
	if !hasStar {
		return "", rest == "" || strings.HasSuffix(pattern, "/")
	}
	end := strings.IndexByte(rest, '/')
	if end < 0 {
		end = len(rest)
	}
	star, rest = rest[:end], rest[end:]
	if strings.HasSuffix(suffix, "/") {
		return star, strings.HasPrefix(rest, suffix)
	}
	return star, rest == suffix
}

// errSettings says that settings are not such.
var errSettings = errors.New("invalid merge settings")

// Validate names the first mistake.
func (s Settings) Validate() error {
	for i, o := range s.Owners {
		if err := errors.Join(checkPattern(o.Key), checkPath(o.Path)); err != nil {
			return fmt.Errorf("owners[%d]: %w", i, err)
		}
		if strings.Count(o.Branch, "*") > strings.Count(o.Key, "*") {
			return fmt.Errorf("owners[%d]: branch %q has a * that key %q has not: %w", i, o.Branch, o.Key, errSettings)
		}
	}
	for i, b := range s.Branches {
		if err := b.validate(); err != nil {
			return fmt.Errorf("branches[%d]: %w", i, err)
		}
	}
	return nil
}

func (b BranchSettings) validate() error {
	if b.Branch == "" || strings.Count(b.Branch, "*") > 1 {
		return fmt.Errorf("branch %q is to be a name with at most one *: %w", b.Branch, errSettings)
	}
	for i, p := range b.Prefer {
		err := checkPath(p.Path)
		if p.Key != "" {
			err = errors.Join(err, checkPattern(p.Key))
		}
		if p.Take != Ours && p.Take != Theirs {
			err = errors.Join(err, fmt.Errorf("take %q is to be %s or %s: %w", p.Take, Ours, Theirs, errSettings))
		}
		if err != nil {
			return fmt.Errorf("prefer[%d]: %w", i, err)
		}
	}
	for _, pattern := range slices.Concat(b.ToMain.Include, b.ToMain.Exclude, b.FromMain.Include, b.FromMain.Exclude) {
		if err := checkPattern(pattern); err != nil {
			return fmt.Errorf("filter: %w", err)
		}
	}
	return nil
}

func checkPattern(pattern string) error {
	if !strings.HasPrefix(pattern, "/") || strings.Count(pattern, "*") > 1 || !utf8.ValidString(pattern) {
		return fmt.Errorf("key %q is to be text that begins with a slash and has at most one *: %w", pattern, errSettings)
	}
	return nil
}

func checkPath(text string) error {
	if _, err := parsePath(text); err != nil {
		return fmt.Errorf("%w: %w", errSettings, err)
	}
	return nil
}

// Policy returns the policy for the merge of theirs into ours, one of which is
// the integrator unless peers merge each other.
func (s Settings) Policy(ours, theirs, integrator string) Policy {
	p := Policy{Ours: ours, Theirs: theirs, Integrator: integrator}.withDefaults()
	p.Owner = slices.Concat(s.Owners, DefaultOwners()).Owner
	mine, yours := s.of(ours, p.Integrator), s.of(theirs, p.Integrator)
	for _, f := range []Filter{mine.FromMain, yours.ToMain} {
		if !f.IsZero() {
			p.Filters = append(p.Filters, f)
		}
	}
	if len(mine.Prefer)+len(yours.Prefer) > 0 {
		p.Prefer = func(first, second, key, path string) int {
			return s.of(first, p.Integrator).vote(key, path) - s.of(second, p.Integrator).vote(key, path)
		}
	}
	return p
}

// of returns the settings of a branch. The integrator has none: it is what the others meet.
func (s Settings) of(branch, integrator string) BranchSettings {
	if branch == integrator {
		return BranchSettings{}
	}
	for _, b := range s.Branches {
		if _, ok := Fits(b.Branch, branch); ok || b.Branch == "*" {
			return b
		}
	}
	return BranchSettings{}
}

// vote is positive if the branch's own value is preferred, negative if the other's is.
func (b BranchSettings) vote(key, path string) int {
	for _, p := range b.Prefer {
		if _, ok := Fits(p.Key, key); p.Key != "" && !ok || !below(path, p.Path) {
			continue
		}
		if p.Take == Ours {
			return 1
		}
		return -1
	}
	return 0
}
