// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
)

// podWorld is a cluster whose components create, bind, run, fail and delete
// pods, each in its own heaven, exchanging with main or not, as it comes.
type podWorld struct {
	*lineage
	actors    []string
	made      map[string]bool // uids that were ever created,
	deleted   map[string]bool // deleted for good by somebody,
	ended     map[string]bool // said to have ended,
	conflicts []merge.Conflict
}

type pod struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name              string            `json:"name"`
		UID               string            `json:"uid"`
		CreationTimestamp string            `json:"creationTimestamp"`
		DeletionTimestamp string            `json:"deletionTimestamp,omitempty"`
		Grace             int               `json:"deletionGracePeriodSeconds,omitempty"`
		Labels            map[string]string `json:"labels,omitempty"`
		Finalizers        []string          `json:"finalizers,omitempty"`
	} `json:"metadata"`
	Spec struct {
		NodeName string `json:"nodeName,omitempty"`
	} `json:"spec"`
	Status struct {
		Phase      string         `json:"phase"`
		HostIP     string         `json:"hostIP,omitempty"`
		PodIP      string         `json:"podIP,omitempty"`
		Mark       string         `json:"mark,omitempty"` // a field of which merges know nothing
		Conditions []podCondition `json:"conditions,omitempty"`
	} `json:"status"`
}

type podCondition struct {
	Type       string `json:"type"`
	Status     string `json:"status"`
	Transition string `json:"lastTransitionTime"`
}

func (w *podWorld) now() string { return unixTime(w.clock).Format("2006-01-02T15:04:05Z") }

func (p *pod) condition(kind, status, when string) {
	p.Status.Conditions = slices.DeleteFunc(p.Status.Conditions, func(c podCondition) bool { return c.Type == kind })
	p.Status.Conditions = append(p.Status.Conditions, podCondition{kind, status, when})
}

func (p *pod) over() bool { return p.Status.Phase == "Failed" || p.Status.Phase == "Succeeded" }

// act lets a component do what it would do with a pod that it sees.
func (w *podWorld) act(t *rapid.T, who, key string) {
	t.Helper()
	value := w.values(t, w.tree(t, w.heads[who]))[key]
	var p pod
	if value != nil {
		if err := json.Unmarshal(value, &p); err != nil {
			t.Fatal(err)
		}
	}
	before := p.Metadata.UID
	var done bool
	switch who {
	case "heavens/apiserver", "heavens/kcm":
		done = w.people(t, who, &p, value != nil)
	case "heavens/scheduler-a", "heavens/scheduler-b":
		done = value != nil && w.schedule(t, &p)
	default:
		done = value != nil && w.runs(t, who, &p)
	}
	switch {
	case !done:
		return
	case p.Metadata.UID == "":
		w.deleted[before] = true
		w.write(t, who, key, nil)
		return
	}
	if p.over() {
		w.ended[p.Metadata.UID] = true
	}
	out, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, who, key, out)
}

// people create, label and delete pods, and controllers give them up.
func (w *podWorld) people(t *rapid.T, who string, p *pod, there bool) bool {
	t.Helper()
	if !there {
		w.clock++
		p.APIVersion, p.Kind = "v1", "Pod"
		p.Metadata.Name, p.Metadata.UID, p.Metadata.CreationTimestamp = "x", fmt.Sprintf("uid-%d-", w.clock), w.now()
		p.Status.Phase = "Pending"
		w.made[p.Metadata.UID] = true
		return true
	}
	switch rapid.IntRange(0, 4).Draw(t, "deed") {
	case 0:
		p.Metadata.Labels = map[string]string{who[8:]: fmt.Sprint(w.clock)}
	case 1:
		if p.Spec.NodeName == "" || who == "heavens/kcm" { // nobody to wait for, or by force
			*p = pod{}
			return true
		}
		if p.Metadata.DeletionTimestamp != "" {
			return false
		}
		p.Metadata.DeletionTimestamp, p.Metadata.Grace = w.now(), 30
	case 2:
		p.condition("DisruptionTarget", "True", w.now())
	case 3:
		if p.over() || who != "heavens/kcm" {
			return false
		}
		p.Status.Phase = "Failed"
	default:
		return false
	}
	return true
}

func (w *podWorld) schedule(t *rapid.T, p *pod) bool {
	t.Helper()
	if p.Spec.NodeName != "" || p.Metadata.DeletionTimestamp != "" || p.over() {
		return false
	}
	w.clock++
	node := rapid.SampledFrom([]string{"", "w1", "w2", "w3"}).Draw(t, "node")
	if node == "" {
		p.condition("PodScheduled", "False", w.now())
		return true
	}
	p.Spec.NodeName = node
	p.condition("PodScheduled", "True", w.now())
	return true
}

// runs lets a node do its part for a pod that is bound to it.
func (w *podWorld) runs(t *rapid.T, who string, p *pod) bool {
	t.Helper()
	node := who[len("nodes/"):]
	if p.Spec.NodeName != node {
		return false
	}
	w.clock++
	if p.Metadata.DeletionTimestamp != "" && rapid.Bool().Draw(t, "stopped") {
		*p = pod{}
		return true
	}
	p.Status.HostIP, p.Status.PodIP = node, fmt.Sprintf("%s-%d", node, w.clock)
	p.Status.Mark = node
	p.condition("Ready", "True", w.now())
	if !p.over() {
		p.Status.Phase = rapid.SampledFrom([]string{"Running", "Running", "Succeeded", "Failed"}).Draw(t, "phase")
	}
	return true
}

// check holds what must be so of every pod in every heaven at all times.
func (w *podWorld) check(t *rapid.T, branch string) map[string]pod {
	t.Helper()
	out := map[string]pod{}
	for key, value := range w.values(t, w.tree(t, w.heads[branch])) {
		var p pod
		if err := json.Unmarshal(value, &p); err != nil {
			t.Fatal(err)
		}
		out[key] = p
		node := []string{"", p.Spec.NodeName}
		if !slices.Contains(node, p.Status.HostIP) || !slices.Contains(node, p.Status.Mark) {
			t.Fatalf("%s: %s is bound to %q and runs on %q: %s", branch, key, p.Spec.NodeName, p.Status.HostIP, value)
		}
		for _, c := range p.Status.Conditions {
			if c.Type == "PodScheduled" && (c.Status == "True") != (p.Spec.NodeName != "") {
				t.Fatalf("%s: %s is bound to %q, PodScheduled is %s", branch, key, p.Spec.NodeName, c.Status)
			}
		}
		if !w.made[p.Metadata.UID] {
			t.Fatalf("%s: nobody made %s", branch, value)
		}
	}
	return out
}

// explained says whether there is a conflict on record about a pod.
func (w *podWorld) explained(key, uid string) bool {
	return slices.ContainsFunc(w.conflicts, func(c merge.Conflict) bool {
		if c.Key != key {
			return false
		}
		for _, v := range []merge.Value{c.Ours, c.Theirs} {
			var p pod
			if o, ok := w.objects[v.Blob]; ok && json.Unmarshal(o.Data, &p) == nil && p.Metadata.UID == uid {
				return true
			}
		}
		return false
	})
}

// TestPodsOverHistories lets components with links that are cut and healed at
// random work on pods. No pod is lost, doubled, resurrected, bound twice or
// torn, and in the end all see the same.
func TestPodsOverHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actors := []string{"heavens/apiserver", "heavens/kcm", "heavens/scheduler-a", "heavens/scheduler-b", "nodes/w1", "nodes/w2", "nodes/w3"}
		w := &podWorld{
			lineage: newLineage(t, nil, actors...), actors: actors,
			made: map[string]bool{}, deleted: map[string]bool{}, ended: map[string]bool{},
		}
		exchange := func(into, from string) {
			m := w.take(t, into, from)
			w.conflicts = append(w.conflicts, m.Conflicts...)
			w.check(t, into)
		}
		cut := map[string]bool{}
		for range rapid.IntRange(1, 250).Draw(t, "steps") {
			who := rapid.SampledFrom(actors).Draw(t, "who")
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				cut[who] = !cut[who]
			case 1, 2, 3, 4:
				w.act(t, who, rapid.SampledFrom([]string{"/registry/pods/default/a", "/registry/pods/default/b"}).Draw(t, "key"))
			case 5, 6:
				if !cut[who] {
					exchange(who, "main")
				}
			default:
				if !cut[who] {
					exchange("main", who)
				}
			}
		}
		for range 3 {
			for _, who := range actors {
				exchange("main", who)
			}
			for _, who := range actors {
				exchange(who, "main")
			}
		}
		final := w.check(t, "main")
		there := map[string]bool{}
		for key, p := range final {
			there[p.Metadata.UID] = true
			if w.deleted[p.Metadata.UID] {
				t.Fatalf("%s is resurrected: %s", key, p.Metadata.UID)
			}
			if w.ended[p.Metadata.UID] && !p.over() && !w.explained(key, p.Metadata.UID) {
				t.Fatalf("%s had ended, and is %s", p.Metadata.UID, p.Status.Phase)
			}
		}
		for uid := range w.made {
			lost := !there[uid] && !w.deleted[uid]
			if lost && !w.explained("/registry/pods/default/a", uid) && !w.explained("/registry/pods/default/b", uid) {
				t.Fatalf("%s is lost", uid)
			}
		}
		for _, who := range actors {
			if w.tree(t, w.heads[who]) != w.tree(t, w.heads["main"]) {
				t.Fatalf("%s has another tree than main", who)
			}
		}
	})
}
