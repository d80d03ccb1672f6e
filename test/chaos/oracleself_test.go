// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// A scribe writes histories by hand.
type scribe struct {
	bytes.Buffer
}

// commit adds one to a branch. Files are path -> content; empty content removes the file.
func (s *scribe) commit(mark int, branch string, parents []int, files map[string]string) {
	fmt.Fprintf(s, "commit refs/heads/%s\nmark :%d\ncommitter %s <x@invalid> %d +0000\ndata 0\n", branch, mark, filepath.Base(branch), mark)
	for i, p := range parents {
		fmt.Fprintf(s, "%s :%d\n", []string{"from", "merge"}[min(i, 1)], p)
	}
	for path, text := range files {
		if text == "" {
			fmt.Fprintf(s, "D %s\n", path)
			continue
		}
		fmt.Fprintf(s, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
	}
	fmt.Fprintln(s)
}

func podText(uid, node, more string) string {
	return fmt.Sprintf(`{"kind":"Pod","metadata":{"name":"p","uid":%q%s},"spec":{"nodeName":%q}}`, uid, more, node)
}

// deployed has main say that a Deployment wants no pods.
func deployed(s *scribe) {
	s.commit(1, "main", nil, map[string]string{"registry/deployments/default/d": `{"metadata":{"name":"d","uid":"d1"},"spec":{"replicas":0}}`})
}

func scaled(to string, perhaps ...string) map[string]*field {
	return map[string]*field{replicasField: {Value: to, Perhaps: perhaps}}
}

// TestOracleSees holds the oracle to its own laws: it finds what is wrong in histories that were made wrong.
func TestOracleSees(t *testing.T) {
	const at = "registry/pods/default/p"
	owner := `,"ownerReferences":[{"kind":"ReplicaSet","name":"r","uid":"r1","controller":true}]`
	for name, c := range map[string]struct {
		write func(*scribe)
		told  []*told
		ran   map[string][]life
		want  string // empty: nothing is wrong
	}{
		"a pod's life": {
			write: func(s *scribe) {
				s.commit(1, "main", nil, map[string]string{at: podText("u1", "", "")})
				s.commit(2, "nodes/n1", []int{1}, map[string]string{at: podText("u1", "n1", "")})
				s.commit(3, "main", []int{1, 2}, map[string]string{at: podText("u1", "n1", "")})
				s.commit(4, "main", []int{3}, map[string]string{at: ""})
			},
			told: []*told{{Kind: "Pod", Name: "p", UID: "u1", Deleting: time.Unix(1, 0), Deleted: true}},
		},
		"a pod that waits for a finalizer comes back": {
			write: func(s *scribe) {
				s.commit(1, "main", nil, map[string]string{at: podText("u1", "", "")})
				s.commit(2, "nodes/n1", []int{1}, map[string]string{at: ""})
				s.commit(3, "main", []int{1, 2}, map[string]string{at: podText("u1", "", `,"deletionTimestamp":"2026-01-01T00:00:00Z","finalizers":["x"]`)})
				s.commit(4, "main", []int{3}, map[string]string{at: ""})
			},
		},
		"lost": {
			write: func(s *scribe) {
				s.commit(1, "main", nil, map[string]string{at: podText("u1", "", "")})
				s.commit(2, "main", []int{1}, map[string]string{at: ""})
			},
			told: []*told{{Kind: "Pod", Name: "p", UID: "u1"}},
			want: "LOST",
		},
		"not deleted": {
			write: func(s *scribe) { s.commit(1, "main", nil, map[string]string{at: podText("u1", "", "")}) },
			told:  []*told{{Kind: "Pod", Name: "p", UID: "u1", Deleting: time.Unix(1, 0), Deleted: true}},
			want:  "NOT DELETED",
		},
		"a lost write": {
			write: deployed,
			told:  []*told{{Kind: "Deployment", Name: "d", UID: "d1", Fields: scaled("5")}},
			want:  "LOST WRITE",
		},
		"a lost write, and another one without an answer": {
			write: deployed,
			told:  []*told{{Kind: "Deployment", Name: "d", UID: "d1", Fields: scaled("5", "3", "4")}},
			want:  "LOST WRITE",
		},
		"a write without an answer that was kept": {
			write: deployed,
			told:  []*told{{Kind: "Deployment", Name: "d", UID: "d1", Fields: scaled("5", "3", "0")}},
		},
		"a lost write that a conflict explains": {
			write: func(s *scribe) {
				deployed(s)
				s.commit(2, "conflicts", nil, map[string]string{"c1": `{"key":"/registry/deployments/default/d","path":".spec.replicas","ours":{"value":0},"theirs":{"value":5}}`})
			},
			told: []*told{{Kind: "Deployment", Name: "d", UID: "d1", Fields: scaled("5")}},
		},
		"a lost write beside a conflict about something else": {
			write: func(s *scribe) {
				deployed(s)
				s.commit(2, "conflicts", nil, map[string]string{"c1": `{"key":"/registry/deployments/default/d","path":".spec.paused","ours":{"value":0},"theirs":{"value":5}}`})
			},
			told: []*told{{Kind: "Deployment", Name: "d", UID: "d1", Fields: scaled("5")}},
			want: "LOST WRITE",
		},
		"a conflict whose sides cannot be read": {
			write: func(s *scribe) {
				deployed(s)
				s.commit(2, "conflicts", nil, map[string]string{"c1": `{"key":"/registry/pods/default/p","ours":{"blob":"0123456789012345678901234567890123456789"}}`})
			},
			want: "UNEXPLAINED",
		},
		"an answer that forgot what was acknowledged": {
			write: deployed,
			told:  []*told{{Kind: "Deployment", Name: "d", UID: "d1", Fields: scaled("0"), Wrong: []string{"x"}}},
			want:  "FORGOTTEN",
		},
		"resurrected by a merge": {
			write: func(s *scribe) {
				s.commit(1, "main", nil, map[string]string{at: podText("u1", "", "")})
				s.commit(2, "heavens/a", []int{1}, map[string]string{at: podText("u1", "n1", "")})
				s.commit(3, "main", []int{1}, map[string]string{at: ""})
				s.commit(4, "main", []int{3, 2}, map[string]string{at: podText("u1", "n1", "")})
			},
			want: "RESURRECTED",
		},
		"bound twice, and then decided": {
			write: func(s *scribe) {
				s.commit(1, "main", nil, map[string]string{at: podText("u1", "", "")})
				s.commit(2, "heavens/a", []int{1}, map[string]string{at: podText("u1", "n1", "")})
				s.commit(3, "heavens/b", []int{1}, map[string]string{at: podText("u1", "n2", "")})
				s.commit(4, "main", []int{2, 3}, map[string]string{at: podText("u1", "n1", "")})
			},
			want: "BOUND TWICE",
		},
		"an orphan": {
			write: func(s *scribe) { s.commit(1, "main", nil, map[string]string{at: podText("u1", "", owner)}) },
			want:  "ORPHAN",
		},
		"doubled": {
			write: func(s *scribe) {
				s.commit(1, "main", nil, map[string]string{
					at: podText("u1", "", owner), at + "2": podText("u2", "", owner),
					"registry/replicasets/default/r": `{"metadata":{"name":"r","uid":"r1","ownerReferences":[{"kind":"Deployment","name":"d","uid":"d1","controller":true}]},"spec":{"replicas":1}}`,
					"registry/deployments/default/d": `{"metadata":{"name":"d","uid":"d1"},"spec":{"replicas":1}}`,
				})
			},
			want: "DOUBLED",
		},
		"evicted": {
			write: func(s *scribe) {
				s.commit(1, "main", nil, map[string]string{at: `{"metadata":{"name":"p","uid":"u1"},"status":{"conditions":[{"type":"DisruptionTarget","status":"True","reason":"DeletionByTaintManager"}]}}`})
			},
			want: "EVICTED",
		},
		"run by two nodes": {
			write: func(s *scribe) { s.commit(1, "main", nil, map[string]string{at: podText("u1", "n1", "")}) },
			ran:   map[string][]life{"n1": {{Name: "default/p", UID: "u1"}}, "n2": {{Name: "default/p", UID: "u1", Ended: time.Unix(1, 0)}}},
			want:  "RAN TWICE",
		},
		"a ghost": {
			write: func(s *scribe) { s.commit(1, "main", nil, map[string]string{"x": "y"}) },
			ran:   map[string][]life{"n1": {{Name: "default/p", UID: "u1"}}},
			want:  "GHOST",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scribe{}
			c.write(s)
			dir := t.TempDir()
			if _, err := git(t.Context(), dir, "init", "-q", "--bare"); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "git", "-C", dir, "fast-import", "--quiet")
			cmd.Stdin = s
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			w := &world{front: &member{}, manager: &member{}, scheduler: &member{}}
			for _, name := range []string{"n1", "n2"} {
				n := &node{member: &member{name: name}, ran: map[types.UID]*life{}}
				for _, l := range c.ran[name] {
					n.ran[l.UID] = &l
				}
				w.nodes = append(w.nodes, n)
			}
			o := newOracle(t, w, &workload{told: c.told}, openHistory(t, dir))
			o.look()
			found := slices.ContainsFunc(o.wrong, func(what string) bool { return strings.HasPrefix(what, c.want) })
			if c.want == "" && len(o.wrong) > 0 || c.want != "" && !found {
				t.Errorf("the oracle says %q, want %q", o.wrong, c.want)
			}
		})
	}
}
