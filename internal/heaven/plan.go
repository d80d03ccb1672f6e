// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// Have is what exists of a control plane.
type Have struct {
	// Merge is nil when there is none.
	Merge *heavenv1.AutomatedMerge
	// Heavens by name.
	Heavens map[string]*heavenv1.TrishankuHeaven
}

// Action is what a step does.
type Action string

// Actions.
const (
	ApplyMerge   Action = "apply merge"
	ApplyHeaven  Action = "apply heaven"
	DeleteMerge  Action = "delete merge"
	DeleteHeaven Action = "delete heaven"
	Wait         Action = "wait"
)

// Step is one thing to be done, and why. For Wait it is what is not done yet.
type Step struct {
	Action Action
	// Name of the object.
	Name string
	// Heaven or Merge is what is to be applied, or deleted.
	Heaven *heavenv1.TrishankuHeaven
	Merge  *heavenv1.AutomatedMerge
	Why    string
}

// String is the step as a person reads it.
func (s Step) String() string { return fmt.Sprintf("%s %s: %s", s.Action, s.Name, s.Why) }

// Plan says how what there is becomes what there shall be: the hub and the front door at once, the components when there
// is a main that they can begin with. It never takes back what is there already because something else is down.
func Plan(want Want, have Have) []Step {
	steps := []Step{
		{Action: ApplyMerge, Name: want.Merge.Name, Merge: want.Merge, Why: "the hub joins all branches"},
		{Action: ApplyHeaven, Name: want.FrontDoor.Name, Heaven: want.FrontDoor, Why: "the front door creates the first objects"},
	}
	wanted := map[string]bool{want.FrontDoor.Name: true}
	for _, h := range want.Components {
		wanted[h.Name] = true
		steps = append(steps, planComponent(h, want, have))
	}
	for _, name := range slices.Sorted(maps.Keys(have.Heavens)) {
		if !wanted[name] {
			steps = append(steps, remove(have.Heavens[name], "the control plane has no such component any more"))
		}
	}
	return steps
}

func planComponent(h *heavenv1.TrishankuHeaven, want Want, have Have) Step {
	exists := have.Heavens[h.Name]
	frontDoor := have.Heavens[want.FrontDoor.Name]
	wait := func(why string) Step { return Step{Action: Wait, Name: h.Name, Why: why} }
	switch {
	case exists != nil && exists.Spec.Version == h.Spec.Version:
		return Step{Action: ApplyHeaven, Name: h.Name, Heaven: h, Why: "the component is part of the control plane"}
	case exists != nil && !runs(frontDoor, h.Spec.Version):
		return wait(fmt.Sprintf("the front door does not run %s yet; components follow it, so that no object is stored in a version that people cannot read", h.Spec.Version))
	case exists != nil:
		return Step{Action: ApplyHeaven, Name: h.Name, Heaven: h, Why: fmt.Sprintf("the front door runs %s; the component follows", h.Spec.Version)}
	case !available(frontDoor):
		return wait("the front door is not available yet; it creates the first objects")
	case have.Merge == nil || have.Merge.Status.MainHead == "":
		return wait("main does not exist yet; the hub makes it from the front door's first push")
	}
	return Step{Action: ApplyHeaven, Name: h.Name, Heaven: h, Why: "main exists, so the component can begin with it"}
}

// PlanDeletion takes a control plane down: the components, then the front door, so that people see their end, and the
// hub last, so that it receives what everybody had still to say.
func PlanDeletion(have Have) []Step {
	var components, frontDoors []*heavenv1.TrishankuHeaven
	for _, name := range slices.Sorted(maps.Keys(have.Heavens)) {
		if h := have.Heavens[name]; h.Spec.Component != nil {
			components = append(components, h)
		} else {
			frontDoors = append(frontDoors, h)
		}
	}
	switch {
	case len(components) > 0:
		return removeAll(components, "the control plane is being deleted; components go first")
	case len(frontDoors) > 0:
		return removeAll(frontDoors, "the components are gone")
	case have.Merge != nil:
		step := Step{Action: DeleteMerge, Name: have.Merge.Name, Merge: have.Merge, Why: "all heavens are gone"}
		if !have.Merge.DeletionTimestamp.IsZero() {
			step = Step{Action: Wait, Name: have.Merge.Name, Why: "the hub is being deleted"}
		}
		return []Step{step}
	}
	return nil
}

func removeAll(heavens []*heavenv1.TrishankuHeaven, why string) []Step {
	steps := make([]Step, 0, len(heavens))
	for _, h := range heavens {
		steps = append(steps, remove(h, why))
	}
	return steps
}

func remove(h *heavenv1.TrishankuHeaven, why string) Step {
	if !h.DeletionTimestamp.IsZero() {
		return Step{Action: Wait, Name: h.Name, Why: "the heaven is being deleted: " + cmp.Or(message(h, heavenv1.HeavenDeleting), "its pod hands in its last commits")}
	}
	return Step{Action: DeleteHeaven, Name: h.Name, Heaven: h, Why: why}
}

// available says whether a heaven works, as far as is known.
func available(h *heavenv1.TrishankuHeaven) bool {
	if h == nil {
		return false
	}
	for _, c := range h.Status.Conditions {
		if c.Type == heavenv1.HeavenAvailable {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

func runs(h *heavenv1.TrishankuHeaven, version string) bool {
	return available(h) && h.Status.Version == version
}

func message(h *heavenv1.TrishankuHeaven, condition string) string {
	for _, c := range h.Status.Conditions {
		if c.Type == condition {
			return c.Message
		}
	}
	return ""
}
