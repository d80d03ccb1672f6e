// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/keymap"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// layOut adds to a store's options where its keys lie, and how it begins over what others committed.
func layOut(o mvcc.Options, c *gitcdv1.Config, strange *strangers) (mvcc.Options, error) {
	o.Start = mvcc.Start{Revision: c.Start.Revision, History: c.Start.History}
	o.Unserved = strange.add
	rules := make([]keymap.Rule, len(c.Keys))
	for i, k := range c.Keys {
		rules[i] = keymap.Rule(k)
	}
	keys, err := keymap.New(rules)
	o.Keys = keys
	return o, err
}

// strangers are the files of a tree that cannot be served.
type strangers struct {
	first []string
	count int
}

// namedStrangers is how many of them the log names.
const namedStrangers = 10

func (s *strangers) add(path string) {
	if s.count++; len(s.first) < namedStrangers {
		s.first = append(s.first, path)
	}
}

// tell says what is kept and not served.
func (s *strangers) tell(log *slog.Logger, branch string) {
	if s.count > 0 {
		log.Warn("some of the tree is kept, but not served: symbolic links, submodules, and names that no key has",
			"branch", branch, "count", s.count, "first", s.first)
	}
}
