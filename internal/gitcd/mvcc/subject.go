// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// subjectNames is how many changes a commit's first line names.
const subjectNames = 3

// subject says in one line what changed.
func subject(dirty map[string]dirtyKey) string {
	keys := make([]string, 0, len(dirty))
	for key := range dirty {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	parts := make([]string, 0, subjectNames+1)
	for i, key := range keys {
		if i == subjectNames {
			parts = append(parts, fmt.Sprintf("and %d more", len(keys)-i))
			break
		}
		parts = append(parts, dirty[key].verb.String()+" "+name(key))
	}
	if len(keys) == 1 {
		return parts[0]
	}
	return fmt.Sprintf("%d changes: %s", len(keys), strings.Join(parts, ", "))
}

// String returns the verb as a commit's subject has it.
func (v verb) String() string {
	switch v {
	case created:
		return "create"
	case updated:
		return "update"
	case deleted:
		return "delete"
	default:
		return "change"
	}
}

// name says a key as people do: the resource, then what is left.
//
//	/registry/pods/default/x                  pods default/x
//	/registry/apps.example.org/foos/a/b       foos.apps.example.org a/b
//	/registry/services/specs/default/x        services/specs default/x
func name(key string) string {
	rest, ok := strings.CutPrefix(key, "/registry/")
	if !ok {
		return printable(key)
	}
	kind, object, ok := strings.Cut(rest, "/")
	if !ok {
		return printable(rest)
	}
	first, after, more := strings.Cut(object, "/")
	switch {
	case more && strings.Contains(kind, "."):
		kind, object = first+"."+kind, after
	case more && kind == "services":
		kind, object = kind+"/"+first, after
	}
	return printable(kind + " " + object)
}

// printable keeps a key from breaking the line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return '?'
		}
		return r
	}, s)
}

// sign adds the trailers that say who wrote.
func (c *committer) sign(message string) string {
	message = strings.TrimRight(message, "\n")
	gap := "\n\n"
	if len(gitobj.Commit{Message: message}.Trailers()) > 0 {
		gap = "\n"
	}
	return fmt.Sprintf("%s%sEpoch: %d\nHolder: %s\n", message, gap, c.session.epoch, printable(c.session.holder))
}
