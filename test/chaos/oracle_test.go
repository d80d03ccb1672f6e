// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// oracle knows what people were told, what nodes did, and what Git has of it.
type oracle struct {
	t    *testing.T
	w    *world
	work *workload
	h    *history
	head *commit
	now  map[string]*object // path -> object in main

	records   []record
	evictions bool // some are meant to be
	wrong     []string
}

func (w *world) oracle(t *testing.T, work *workload) *oracle {
	t.Helper()
	return newOracle(t, w, work, w.readHistory(t))
}

func newOracle(t *testing.T, w *world, work *workload, h *history) *oracle {
	t.Helper()
	o := &oracle{t: t, w: w, work: work, h: h, now: map[string]*object{}}
	var err error
	if o.head, err = o.h.main(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.h.each(o.head, func(path string, obj *object) { o.now[path] = obj }); err != nil {
		t.Fatal(err)
	}
	o.readRecords()
	return o
}

// record is as much of a conflict's as the oracle wants to know.
type record struct {
	Key, Path, Why, Branch string
	Ours, Theirs           struct {
		Blob  string
		Value json.RawMessage
	}
}

// readRecords reads the conflicts that are on record; there is no such branch if there is none.
func (o *oracle) readRecords() {
	o.t.Helper()
	names, err := git(o.t.Context(), o.h.dir, "ls-tree", "-r", "--format=%(objectname)", "conflicts")
	if err != nil {
		return
	}
	for id := range strings.FieldsSeq(names) {
		data, err := o.h.read(id)
		if err != nil {
			o.t.Fatal(err)
		}
		var r record
		if json.Unmarshal(data, &r) == nil && r.Key != "" {
			o.records = append(o.records, r)
		}
	}
}

// gone are the objects whose deletion was acknowledged.
func (w *workload) gone() []told {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []told
	for _, o := range w.told {
		if o.Deleted {
			all = append(all, *o)
		}
	}
	return all
}

// check reports all that is wrong.
func (o *oracle) check() {
	o.t.Helper()
	o.look()
	for _, what := range o.wrong {
		o.t.Error(what)
	}
	o.conflicts()
	births := 0
	for i := range o.h.paths {
		if strings.HasPrefix(o.h.paths[i], "registry/pods/") {
			births++
		}
	}
	o.t.Logf("%d commits, %d pods in all of history, %d objects in the end", len(o.h.commits), births, len(o.now))
}

// look finds all that is wrong.
func (o *oracle) look() {
	o.t.Helper()
	o.lost()
	o.doubled()
	o.resurrected()
	o.boundTwice()
	o.ranTwice()
	if !o.evictions {
		o.evicted()
	}
	o.quarantined()
	o.unexplained()
}

func (o *oracle) fail(uid types.UID, format string, args ...any) {
	o.wrong = append(o.wrong, fmt.Sprintf(format, args...)+"\n"+o.h.story(uid))
}

// lost: what was created is there, or its deletion was asked for.
func (o *oracle) lost() {
	o.t.Helper()
	for _, one := range o.work.told {
		have := o.now[one.path()]
		there := have != nil && have.UID == one.UID
		switch {
		case one.Deleting.IsZero() && !there:
			o.fail(one.UID, "LOST: %s %s was created, and nobody asked for its deletion, but main has it no more", one.Kind, one.Name)
		case one.Deleted && there:
			o.fail(one.UID, "NOT DELETED: the deletion of %s %s was acknowledged, but main has it", one.Kind, one.Name)
		case there:
			o.lostWrites(one, have)
		}
		for _, what := range one.Wrong {
			o.fail(one.UID, "FORGOTTEN: %s %s: %s\n  %s", one.Kind, one.Name, what, strings.Join(one.Answers, "\n  "))
		}
	}
}

// lostWrites: a field has what it was set to last, or a conflict is on record about it.
func (o *oracle) lostWrites(one *told, have *object) {
	o.t.Helper()
	for name, f := range one.Fields {
		value := have.field(name)
		if f.may(value) || o.recorded(one, name, f.Value) {
			continue
		}
		o.fail(one.UID, "LOST WRITE: %s of %s %s was set to %s, and since, without an answer, to %v; main has %s, and no conflict is on record\n  %s\n%s", name, one.Kind, one.Name,
			f.Value, f.Perhaps, value, strings.Join(one.Answers, "\n  "), o.h.values(one.path(), name))
	}
}

// recorded says whether a conflict about a field is on record, with the value that was not taken.
func (o *oracle) recorded(one *told, name, value string) bool {
	return slices.ContainsFunc(o.records, func(r record) bool {
		if r.Key != "/"+one.path() {
			return false
		}
		for _, side := range []json.RawMessage{r.Ours.Value, r.Theirs.Value} {
			if text := strings.Trim(string(side), `"`); r.Path == one.fieldPath(name) && text == value {
				return true
			}
		}
		return false
	})
}

// below returns what is in main below a directory.
func (o *oracle) below(dir string) map[string]*object {
	found := map[string]*object{}
	for path, obj := range o.now {
		if name, ok := strings.CutPrefix(path, "registry/"+dir+"/"+namespace+"/"); ok {
			found[name] = obj
		}
	}
	return found
}

// doubled: there are as many pods as were asked for, and each has a reason to be.
func (o *oracle) doubled() {
	o.t.Helper()
	pods, sets, deployments, jobs := o.below("pods"), o.below("replicasets"), o.below("deployments"), o.below("jobs")
	uids := map[types.UID]*object{}
	for _, group := range []map[string]*object{sets, deployments, jobs} {
		for _, obj := range group {
			uids[obj.UID] = obj
		}
	}
	count := map[types.UID]int32{}
	for name, p := range pods {
		owner := metav1.GetControllerOf(&p.ObjectMeta)
		if owner == nil {
			continue // a bare pod: lost() knows it
		}
		if uids[owner.UID] == nil {
			o.fail(p.UID, "ORPHAN: pod %s belongs to %s %s (uid %s), which main does not have", name, owner.Kind, owner.Name, owner.UID)
		}
		if p.Status.Phase != corev1.PodFailed {
			count[owner.UID]++
		}
	}
	total := map[types.UID]int32{}
	for name, rs := range sets {
		if count[rs.UID] != *rs.Spec.Replicas {
			o.fail(rs.UID, "DOUBLED OR MISSING: replica set %s wants %d pods and has %d", name, *rs.Spec.Replicas, count[rs.UID])
		}
		owner := metav1.GetControllerOf(&rs.ObjectMeta)
		if owner == nil || uids[owner.UID] == nil {
			o.fail(rs.UID, "ORPHAN: replica set %s belongs to %v, which main does not have", name, owner)
			continue
		}
		total[owner.UID] += *rs.Spec.Replicas
	}
	for name, d := range deployments {
		if total[d.UID] != *d.Spec.Replicas {
			o.fail(d.UID, "DOUBLED OR MISSING: deployment %s wants %d pods, its replica sets want %d", name, *d.Spec.Replicas, total[d.UID])
		}
	}
	for _, one := range o.work.told {
		if j := jobs[one.Name]; one.Kind == "Job" && j != nil && j.UID == one.UID && one.Deleting.IsZero() && count[one.UID] != one.Replicas {
			o.fail(one.UID, "DOUBLED OR MISSING: job %s wants %d pods to succeed and has %d", one.Name, one.Replicas, count[one.UID])
		}
	}
}

// resurrected: a uid that was gone in a commit is in none that follows it. The
// one exception is an object that waits for a finalizer: it is being deleted.
func (o *oracle) resurrected() {
	o.t.Helper()
	reported := bits{}
	for _, c := range o.h.commits {
		for n, uid := range o.h.uids {
			if !c.has.get(n) || reported.get(n) {
				continue
			}
			for _, p := range c.parents {
				if !p.ever.get(n) || p.has.get(n) || o.deleting(c, n) {
					continue
				}
				reported.set(n)
				o.fail(uid, "RESURRECTED: %s was gone in %s and is back in its child %s by %s", o.h.paths[n], p.id[:12], c.id[:12], c.author)
				break
			}
		}
	}
}

func (o *oracle) deleting(c *commit, n int) bool {
	deleting := false
	err := o.h.each(c, func(_ string, obj *object) {
		if obj.UID == o.h.uids[n] && obj.DeletionTimestamp != nil && len(obj.Finalizers) > 0 {
			deleting = true
		}
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return deleting
}

// boundTwice: a pod has one node in all histories.
func (o *oracle) boundTwice() {
	o.t.Helper()
	nodes := map[types.UID]string{}
	for _, obj := range o.h.objects {
		if obj.Spec.NodeName == "" {
			continue
		}
		if other, ok := nodes[obj.UID]; ok && other != obj.Spec.NodeName {
			o.fail(obj.UID, "BOUND TWICE: pod %s is on %s in one commit and on %s in another", obj.Name, other, obj.Spec.NodeName)
		}
		nodes[obj.UID] = obj.Spec.NodeName
	}
}

// ranTwice: no two nodes ran one pod, and each runs what main says.
func (o *oracle) ranTwice() {
	o.t.Helper()
	ran := map[types.UID]string{}
	pods := o.below("pods")
	for _, n := range o.w.nodes {
		for _, l := range n.lives() {
			if other, ok := ran[l.UID]; ok {
				o.fail(l.UID, "RAN TWICE: pod %s on %s and %s", l.Name, other, n.name)
			}
			ran[l.UID] = n.name
			p := pods[strings.TrimPrefix(l.Name, namespace+"/")]
			if known := p != nil && p.UID == l.UID; l.Ended.IsZero() && !known {
				o.fail(l.UID, "GHOST: %s runs pod %s, which main does not have", n.name, l.Name)
			}
		}
	}
	for name, p := range pods {
		if p.Status.Phase == corev1.PodRunning && ran[p.UID] != p.Spec.NodeName {
			o.fail(p.UID, "NOT RUN: pod %s is said to run on %s; it ran on %q", name, p.Spec.NodeName, ran[p.UID])
		}
	}
}

// evicted: no pod was deleted because its node was out of reach for a moment.
func (o *oracle) evicted() {
	o.t.Helper()
	for _, obj := range o.h.objects {
		for _, c := range obj.Status.Conditions {
			if c.Type == string(corev1.DisruptionTarget) {
				o.fail(obj.UID, "EVICTED: pod %s of %s: %s", obj.Name, obj.Spec.NodeName, c.Reason)
			}
		}
	}
}

// quarantined: what the components do is within their gates.
func (o *oracle) quarantined() {
	o.t.Helper()
	for _, m := range o.w.members() {
		branch := "quarantine/" + m.branch
		records, err := git(o.t.Context(), o.h.dir, "ls-tree", "-r", "--name-only", branch, "records/")
		if err != nil {
			continue // there is no such branch
		}
		for path := range strings.FieldsSeq(records) {
			text, err := git(o.t.Context(), o.h.dir, "show", branch+":"+path)
			if err != nil {
				o.t.Fatal(err)
			}
			if leaked(text) {
				o.t.Logf("an API server cleaned up what had not leaked, and its gate kept that out of main: %s of %s", path, m.branch)
				continue
			}
			o.wrong = append(o.wrong, fmt.Sprintf("QUARANTINED: what %s did to %s\n%s", m.branch, path, text))
		}
	}
}

// leaked says whether a record is of an API server's repair: one that hears of a Service more than a minute
// after it was made, and of its address first, takes the address for leaked. See docs/shortcomings.md.
func leaked(text string) bool {
	var r struct{ Key, Verb string }
	return json.Unmarshal([]byte(text), &r) == nil && r.Verb == "delete" && strings.HasPrefix(r.Key, "/registry/ipaddresses/")
}

// conflicts counts what was put on record, for a person to look at.
func (o *oracle) conflicts() {
	o.t.Helper()
	count := map[string]int{}
	for _, r := range o.records {
		dir, _, _ := strings.Cut(strings.TrimPrefix(r.Key, "/registry/"), "/")
		count[fmt.Sprintf("%s %s %s, took %s", dir, r.Path, r.Why, r.Branch)]++
	}
	for _, what := range slices.Sorted(maps.Keys(count)) {
		o.t.Logf("%4d conflicts on record: %s", count[what], what)
	}
}

// unexplained: what a conflict did not take can still be read.
func (o *oracle) unexplained() {
	o.t.Helper()
	for _, r := range o.records {
		for _, side := range []string{r.Ours.Blob, r.Theirs.Blob} {
			if _, err := o.h.read(side); side != "" && err != nil {
				o.wrong = append(o.wrong, fmt.Sprintf("UNEXPLAINED: the conflict about %s %s names %s: %v", r.Key, r.Path, side, err))
			}
		}
	}
}
