// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// world plays the host cluster: steps change it, and between them its heavens become available and it gets a main.
type world struct {
	have Have
	log  strings.Builder
}

func (w *world) say(headline string) {
	if w.log.Len() > 0 {
		w.log.WriteString("\n")
	}
	w.log.WriteString("[" + headline + "]\n")
}

func (w *world) do(steps []Step) {
	for _, s := range steps {
		w.log.WriteString("  " + string(s.Action) + " " + s.Name + "\n    because " + s.Why + "\n")
		switch s.Action {
		case ApplyMerge:
			if w.have.Merge == nil {
				w.have.Merge = s.Merge.DeepCopy()
			}
		case ApplyHeaven:
			h := s.Heaven.DeepCopy()
			if old := w.have.Heavens[s.Name]; old != nil {
				h.Status = old.Status
			}
			w.have.Heavens[s.Name] = h
		case DeleteHeaven:
			now := metav1.Now()
			w.have.Heavens[s.Name].DeletionTimestamp = &now
		case DeleteMerge:
			now := metav1.Now()
			w.have.Merge.DeletionTimestamp = &now
		case Wait:
		}
	}
	if len(steps) == 0 {
		w.log.WriteString("  nothing to do\n")
	}
}

func (w *world) ready(name string, status metav1.ConditionStatus) {
	h := w.have.Heavens[name]
	h.Status.Conditions = []metav1.Condition{{Type: heavenv1.HeavenAvailable, Status: status}}
	if status == metav1.ConditionTrue {
		h.Status.Version = h.Spec.Version
	}
}

// gone finishes what is being deleted.
func (w *world) gone() {
	for name, h := range w.have.Heavens {
		if !h.DeletionTimestamp.IsZero() {
			delete(w.have.Heavens, name)
		}
	}
	if w.have.Merge != nil && !w.have.Merge.DeletionTimestamp.IsZero() {
		w.have.Merge = nil
	}
}

func (w *world) judge(t *testing.T, name string) {
	t.Helper()
	file := filepath.Join("testdata", "plan", name+".golden")
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(w.log.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), w.log.String()); diff != "" {
		t.Errorf("the plan differs (-want +got):\n%s", diff)
	}
}

func TestPlanBirthAndDeath(t *testing.T) {
	want := set(t, blue)
	w := &world{have: Have{Heavens: map[string]*heavenv1.TrishankuHeaven{}}}

	w.say("nothing exists")
	w.do(Plan(want, w.have))
	w.say("the front door is starting")
	w.ready("blue-apiserver", metav1.ConditionFalse)
	w.do(Plan(want, w.have))
	w.say("the front door is available, main does not exist")
	w.ready("blue-apiserver", metav1.ConditionTrue)
	w.do(Plan(want, w.have))
	w.say("main exists")
	w.have.Merge.Status.MainHead = "2a1c"
	w.do(Plan(want, w.have))
	w.say("the front door and the hub are down: what runs stays")
	w.ready("blue-apiserver", metav1.ConditionFalse)
	w.have.Merge.Status.MainHead = ""
	w.do(Plan(want, w.have))

	w.say("the control plane is deleted")
	w.do(PlanDeletion(w.have))
	w.say("the components are stopping")
	w.do(PlanDeletion(w.have))
	w.gone()
	w.say("the components are gone")
	w.do(PlanDeletion(w.have))
	w.gone()
	w.say("the front door is gone")
	w.do(PlanDeletion(w.have))
	w.say("the hub is stopping")
	w.do(PlanDeletion(w.have))
	w.gone()
	w.say("the hub is gone")
	w.do(PlanDeletion(w.have))
	w.judge(t, "birth-and-death")
}

func TestPlanUpgradeAndRemoval(t *testing.T) {
	w := &world{have: Have{Heavens: map[string]*heavenv1.TrishankuHeaven{}}}
	want := set(t, blue)
	w.have.Merge = want.Merge
	w.have.Merge.Status.MainHead = "2a1c"
	for _, h := range want.Heavens() {
		w.have.Heavens[h.Name] = h
		w.ready(h.Name, metav1.ConditionTrue)
	}
	cluster, hcp := blue()
	hcp.Spec.Version = "v1.37.0"
	hcp.Spec.Components.Scheduler.Disabled = new(true)
	next, err := Set(cluster, hcp)
	if err != nil {
		t.Fatal(err)
	}

	w.say("v1.37.0 is wanted, without a scheduler")
	w.do(Plan(next, w.have))
	w.say("the front door is rolling")
	w.ready("blue-apiserver", metav1.ConditionFalse)
	w.gone()
	w.do(Plan(next, w.have))
	w.say("the front door runs v1.37.0")
	w.ready("blue-apiserver", metav1.ConditionTrue)
	w.do(Plan(next, w.have))
	w.judge(t, "upgrade-and-removal")
}
