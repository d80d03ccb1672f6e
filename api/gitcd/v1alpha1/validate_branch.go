// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// treePrefix allows directories whose names lie in a tree as they are.
var treePrefix = regexp.MustCompile(`^([-+,=@_A-Za-z0-9][-+,=@_.A-Za-z0-9]*/)*$`)

// validateBranches looks at the form with several branches.
func (c *Config) validateBranches(p *problems) {
	foreign := []struct {
		field, mend string
		set         bool
	}{
		{"branch", "give it a place in branches, the first if the repository was served with it alone", c.Branch != ""},
		{"author", "write it in branches", c.Author != Author{}},
		{"member", "write it in branches", c.Member != Member{}},
		{"listeners", "write them in branches", c.Listeners != nil},
		{"events", "write it in branches", c.Events != nil},
		{"keys", "write them in branches", c.Keys != nil},
		{"grains", "write them in branches", c.Grains != nil},
		{"start", "write it in branches", c.Start != Start{}},
		{"pulls", "write them in branches", c.Pulls != nil},
		{"holderFile", "it belongs to a branch with an upstream; remove it", c.HolderFile != ""},
		{"upstream", "a branch with an upstream is served by a gitcd of its own", c.Upstream != nil},
		{"genesis", "it belongs to a branch with an upstream; remove it", c.Genesis != nil},
		{"mode", "it belongs to a branch with an upstream; remove it", c.Mode != ""},
		{"holds", "they are about an upstream; remove them", c.Holds != nil},
		{"leaseDuration", "it belongs to a branch with an upstream; remove it", c.LeaseDuration.Duration != 0},
	}
	for _, f := range foreign {
		if f.set {
			p.add(f.field, "does not go with branches: %s", f.mend)
		}
	}
	names, urls := map[string]int{}, map[string]string{}
	for i := range c.Branches {
		b, field := &c.Branches[i], fmt.Sprintf("branches[%d]", i)
		p.branch(field+".name", b.Name)
		if k, ok := names[b.Name]; ok {
			p.add(field+".name", "%q was given in branches[%d] already; keep one", b.Name, k)
		}
		names[b.Name] = i
		p.served(field+".", b)
		listeners := b.Listeners
		if b.Events != nil {
			listeners = append(slices.Clip(listeners), b.Events.Listeners...)
		}
		for _, l := range listeners {
			if other, ok := urls[l.URL]; ok {
				p.add(field+".listeners", "%q is served by %s already; give each branch an address of its own", l.URL, other)
			}
			urls[l.URL] = field
		}
	}
}

// served looks at what says how one branch is served. Field names begin with at.
func (p *problems) served(at string, b *Branch) {
	if strings.ContainsAny(b.Author.Name, "<>\n") || strings.ContainsAny(b.Author.Email, "<>\n ") {
		p.add(at+"author", "%q <%s> holds a character that a Git signature cannot", b.Author.Name, b.Author.Email)
	}
	p.listeners(at+"listeners", b.Listeners)
	if b.Events != nil {
		p.listeners(at+"events.listeners", b.Events.Listeners)
	}
	p.id(at+"member.clusterID", b.Member.ClusterID)
	p.id(at+"member.memberID", b.Member.MemberID)
	p.grains(at, b.Grains)
	p.keys(at, b.Keys)
	if b.Start.Revision < 0 {
		p.add(at+"start.revision", "is %d; write the least revision, 1 or more", b.Start.Revision)
	}
	if b.Start.History < 0 {
		p.add(at+"start.history", "is %d; write how many commits, or leave it out", b.Start.History)
	}
	names := map[string]int{}
	for i := range b.Pulls {
		field := fmt.Sprintf("%spulls[%d]", at, i)
		if k, ok := names[b.Pulls[i].Name]; ok {
			p.add(field+".name", "%q was given in %spulls[%d] already; name one of them differently", b.Pulls[i].Name, at, k)
		}
		names[b.Pulls[i].Name] = i
		p.pull(field, &b.Pulls[i])
	}
}

func (p *problems) grains(at string, grains []Grain) {
	seen := map[string]int{} // prefix -> index
	for i, g := range grains {
		field := fmt.Sprintf("%sgrains[%d]", at, i)
		if g.Prefix == "" {
			p.add(field+".prefix", "is empty; write a key prefix such as /registry/leases/")
		}
		if j, ok := seen[g.Prefix]; ok {
			p.add(field+".prefix", "%q was given in %sgrains[%d] already; keep one", g.Prefix, at, j)
		}
		seen[g.Prefix] = i
		switch g.Grain {
		case GrainFull, GrainBatch, GrainLocal:
		default:
			p.add(field+".grain", "is %q; write Full, Batch or Local", g.Grain)
		}
	}
}

// keys wants each key to have one place, and each place one key.
func (p *problems) keys(at string, keys []KeyPrefix) {
	for i, k := range keys {
		field := fmt.Sprintf("%skeys[%d]", at, i)
		if k.Prefix != "" && !strings.HasSuffix(k.Prefix, "/") {
			p.add(field+".prefix", "is %q; end it with a slash, as /registry/, or leave it empty for all keys", k.Prefix)
		}
		if !treePrefix.MatchString(k.Tree) || strings.Contains("/"+strings.ToLower(k.Tree), "/.git") {
			p.add(field+".tree", "is %q; write a directory of letters, digits and any of -+,=@_. with a slash at its end, such as clusters/blue/", k.Tree)
		}
		for j, other := range keys[:i] {
			if strings.HasPrefix(k.Prefix, other.Prefix) || strings.HasPrefix(other.Prefix, k.Prefix) {
				p.add(field+".prefix", "%q and %q of %skeys[%d] overlap: a key would have two places; choose prefixes of which none begins another", k.Prefix, other.Prefix, at, j)
			}
			if strings.HasPrefix(k.Tree, other.Tree) || strings.HasPrefix(other.Tree, k.Tree) {
				p.add(field+".tree", "%q and %q of %skeys[%d] overlap: two keys would have one place; choose directories of which none holds another", k.Tree, other.Tree, at, j)
			}
		}
	}
}

func (p *problems) pull(field string, u *Pull) {
	p.branch(field+".branch", u.Branch)
	p.branch(field+".as", u.As)
	if !branchName.MatchString(u.Name) || strings.Contains(u.Name, "..") {
		p.add(field+".name", "%q is not a remote's name; write letters, digits, '-', '_' and '.'", u.Name)
	}
	p.repositoryURL(field+".url", u.URL)
	p.positive(field+".interval", u.Interval.Duration)
	p.credentials(field, &u.Credentials)
	p.pair(field, "certFile", u.CertFile, "keyFile", u.KeyFile)
	if u.CAFile != "" {
		p.file(field+".caFile", u.CAFile)
	}
}

func (p *problems) id(field, hex string) {
	if hex == "" {
		return
	}
	if n, err := strconv.ParseUint(hex, 16, 64); err != nil || n == 0 {
		p.add(field, "is %q; write up to 16 hexadecimal digits, not all zero, as etcdctl prints an id", hex)
	}
}
