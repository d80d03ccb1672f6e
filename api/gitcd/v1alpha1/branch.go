// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"path"
	"strconv"
	"time"
)

// Branch is one of several branches that one gitcd serves, each as an etcd of its own.
type Branch struct {
	// Name of the branch, such as main, without refs/heads/.
	Name string `json:"name"`

	// Author is the author of the branch's commits. Default: the last part of the branch, at gitcd.invalid.
	Author Author `json:"author,omitzero"`

	// Member is how the etcd of this branch calls itself. Default: by the branch's name.
	Member Member `json:"member,omitzero"`

	// Listeners serve the etcd v3 API of the branch.
	Listeners []Listener `json:"listeners"`

	// Events is a second etcd, in memory, for keys that are not worth keeping. Absent: none is served.
	Events *Events `json:"events,omitempty"`

	// Keys say where keys lie in the tree. Absent: a key's path is the key.
	Keys []KeyPrefix `json:"keys,omitempty"`

	// Grains say, by key prefix, how finely history is kept; laid over the defaults for Kubernetes. The longest prefix counts.
	Grains []Grain `json:"grains,omitempty"`

	// Start says what the first start over commits that others made does. Later starts know it.
	Start Start `json:"start,omitzero"`

	// Pulls are plain Git repositories whose branches are merged into this one.
	Pulls []Pull `json:"pulls,omitempty"`
}

// Member is how an etcd calls itself.
type Member struct {
	// Name of the one member. Default: gitcd, or the branch's name if there are several.
	Name string `json:"name,omitempty"`

	// ClusterID is in every answer: up to 16 hexadecimal digits, as etcdctl prints them. Default: made of Name.
	ClusterID string `json:"clusterID,omitempty"`

	// MemberID is in every answer, too, and written as ClusterID is. Default: made of Name.
	MemberID string `json:"memberID,omitempty"`
}

// KeyPrefix says that the keys with a prefix lie in a directory of the tree.
// Keys with no prefix of a list are refused, but those of grain Local; files that
// lie in no directory of it are kept, and not served.
type KeyPrefix struct {
	// Prefix of keys. It ends in a slash, or is empty: all keys.
	Prefix string `json:"prefix"`

	// Tree is the directory in the tree, without a slash in front and with one at the end, such as clusters/blue/.
	// Empty: the tree itself.
	Tree string `json:"tree"`
}

// Start says how a branch is begun that has commits, but no revisions yet.
type Start struct {
	// Revision is the least that the first one will be. Default: 1.
	Revision int64 `json:"revision,omitempty"`

	// History is how many commits, from the last one back along first parents, get revisions of their own, one for each
	// key that they changed. Default: 0, all keys get theirs now.
	History int `json:"history,omitempty"`
}

// Pull merges a branch of a plain Git repository into this one, again and again.
type Pull struct {
	// Name of the remote, which its ref refs/remotes/<name>/<branch> is called by. Default: origin.
	Name string `json:"name,omitempty"`

	// URL of the repository: https, or http on loopback addresses.
	URL string `json:"url"`

	// Branch there. Default: the branch that is merged into.
	Branch string `json:"branch,omitempty"`

	// As is what their branch is called in conflicts and in merge, where the two have one name and nobody pulls from here.
	// Without it, branches of one name are copies of one branch. Default: Branch.
	As string `json:"as,omitempty"`

	// Interval between two pulls. Default: 30s.
	Interval Duration `json:"interval,omitzero"`

	// NoFastForward makes a merge commit even where the branch could move to theirs.
	NoFastForward bool `json:"noFastForward,omitempty"`

	// Unrelated allows to merge a history that has nothing in common with the branch's.
	Unrelated bool `json:"unrelated,omitempty"`

	// CAFile holds the authorities that the server's certificate must be signed by. Default: the system's.
	CAFile string `json:"caFile,omitempty"`

	// CertFile and KeyFile are our certificate and its key, for a server that asks for one, such as a peer.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`

	Credentials `json:",inline"`
}

// Served returns the branches that are served, whichever way the file has them.
func (c *Config) Served() []Branch {
	if c.Branch == "" {
		return c.Branches
	}
	return []Branch{{
		Name: c.Branch, Author: c.Author, Member: c.Member, Listeners: c.Listeners, Events: c.Events,
		Keys: c.Keys, Grains: c.Grains, Start: c.Start, Pulls: c.Pulls,
	}}
}

// ID returns the number that an id of a Member is, 0 if it is not given.
func ID(hex string) uint64 {
	n, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		return 0
	}
	return n
}

func (a *Author) setDefaults(branch string) {
	if branch != "" {
		orDefault(&a.Name, path.Base(branch))
	}
	if a.Name != "" {
		orDefault(&a.Email, a.Name+"@gitcd.invalid")
	}
}

func (b *Branch) setDefaults() {
	b.Author.setDefaults(b.Name)
	orDefault(&b.Member.Name, b.Name)
	setPullDefaults(b.Pulls, b.Name)
}

func setPullDefaults(pulls []Pull, branch string) {
	for i := range pulls {
		p := &pulls[i]
		orDefault(&p.Name, "origin")
		orDefault(&p.Branch, branch)
		orDefault(&p.As, p.Branch)
		orDefault(&p.Interval.Duration, 30*time.Second)
	}
}
