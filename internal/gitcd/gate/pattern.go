// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"slices"
	"strings"
)

// matchBranch matches a branch part by part, and returns what the first part
// with a star stands for.
func matchBranch(pattern, branch string) (name string, ok bool) {
	for {
		p, restOfPattern, moreOfPattern := strings.Cut(pattern, "/")
		b, restOfBranch, moreOfBranch := strings.Cut(branch, "/")
		if !glob(p, b) || moreOfPattern != moreOfBranch {
			return "", false
		}
		if name == "" && strings.Contains(p, "*") {
			name = b
		}
		if !moreOfPattern {
			return name, true
		}
		pattern, branch = restOfPattern, restOfBranch
	}
}

// matchKey matches a key part by part; name is what "{name}" stands for.
func matchKey(pattern, key, name string) bool {
	for {
		if pattern == "**" {
			return key != ""
		}
		p, restOfPattern, moreOfPattern := strings.Cut(pattern, "/")
		k, restOfKey, moreOfKey := strings.Cut(key, "/")
		if moreOfPattern != moreOfKey || !matchPart(p, k, name) {
			return false
		}
		if !moreOfPattern {
			return true
		}
		pattern, key = restOfPattern, restOfKey
	}
}

// matchPart puts the name in place, in which no character is a star.
func matchPart(pattern, part, name string) bool {
	before, after, named := strings.Cut(pattern, "{name}")
	if !named {
		return glob(pattern, part)
	}
	if name == "" {
		return false
	}
	for i := 0; i+len(name) <= len(part); i++ {
		if part[i:i+len(name)] == name && glob(before, part[:i]) && glob(after, part[i+len(name):]) {
			return true
		}
	}
	return false
}

// glob matches a text in which "*" stands for any characters, or none.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	rest, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}

// matchAny says whether a key fits one of the patterns; none stands for all keys.
func matchAny(patterns []string, key, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return matchKey(p, key, name) })
}
