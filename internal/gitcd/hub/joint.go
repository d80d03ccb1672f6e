// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// mostHeads is how many branches one commit joins.
const mostHeads = 256

// joint is the one commit that joins all branches of a pass to main, as far as
// the pass has come. The branches are merged one by one; each time the commit
// is made anew, with one parent more, and takes the place of the one before, which
// nobody has seen. A branch with conflicts has a commit of its own, as the records
// name both sides.
type joint struct {
	id    gitobj.ID // the commit; zero if there is none
	base  gitobj.ID // main without it
	heads []gitobj.ID
	names []string // of the branches
	held  string   // trailers that say what was held back of which
}

// with is the joint of one branch more.
func (j joint) with(branch string, head gitobj.ID, held string) joint {
	j.held += held
	j.heads = append(slices.Clip(j.heads), head)
	j.names = append(slices.Clip(j.names), branch)
	return j
}

// commit encodes the commit. It is a function of its parents and its tree (law H5).
func (j joint) commit(tree gitobj.ID, who gitobj.Signature) (joint, transport.Object) {
	message := "merge " + j.names[0] + " into main\n"
	if len(j.names) > 1 {
		message = fmt.Sprintf("merge %d branches into main\n\n%s\n", len(j.names), strings.Join(j.names, "\n"))
	}
	if j.held != "" {
		message += "\n" + j.held
	}
	o := encode(tree, append([]gitobj.ID{j.base}, j.heads...), who, message)
	j.id = o.ID
	return j, o
}

// replace puts the commit of a joint in the place of the one that it grew from.
func (f *fold) replace(j joint, o transport.Object) {
	if was := f.joint.id; !was.IsZero() {
		f.objects = slices.DeleteFunc(f.objects, func(o transport.Object) bool { return o.ID == was })
	}
	f.add(o)
	f.joint, f.main = j, o.ID
}

// latest signs what comes of two commits, at the later one's time.
func latest(a, b gitobj.Commit) gitobj.Signature {
	when := a.Committer.When
	if b.Committer.When.After(when) {
		when = b.Committer.When
	}
	return gitobj.Signature{Name: "automated-merge", Email: "automated-merge@trishanku.org", When: time.Unix(when.Unix(), 0).UTC()}
}

func encode(tree gitobj.ID, parents []gitobj.ID, who gitobj.Signature, message string) transport.Object {
	c := gitobj.Commit{Tree: tree, Parents: parents, Author: who, Committer: who, Message: message}
	data := c.Encode()
	return transport.Object{Kind: gitobj.KindCommit, ID: gitobj.Hash(gitobj.KindCommit, data), Data: data}
}
