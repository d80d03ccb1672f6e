// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/version"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

const (
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
)

// healthConditions are the conditions of the parts, the front door's first, since people feel that first.
func healthConditions(s *scope) []metav1.Condition {
	return []metav1.Condition{
		apiServerHealthy(s),
		hubAvailable(s),
		componentHealthy(s, controlplanev1.ConditionControllerManagerHealthy, controllerManager),
		componentHealthy(s, controlplanev1.ConditionSchedulerHealthy, scheduler),
		componentsHealthy(s),
	}
}

// apiServerHealthy goes by the API server's own answer, and without one by its heaven:
//
//	asked  answer   front door   -> APIServerHealthy  Reason
//	yes    ready    -               True              Answering
//	yes    other    -               False             NotAnswering
//	no     -        absent          as for components
//	no     -        exists          the heaven's      the heaven's
func apiServerHealthy(s *scope) metav1.Condition {
	c := metav1.Condition{Type: controlplanev1.ConditionAPIServerHealthy}
	switch {
	case s.probed && s.probeFailure == nil:
		c.Status, c.Reason = metav1.ConditionTrue, ReasonAnswering
	case s.probed:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, ReasonNotAnswering, reconcile.Sentence(s.probeFailure.Error())
	default:
		return componentHealthy(s, c.Type, heavenv1.FrontDoor)
	}
	return c
}

// hubAvailable mirrors the AutomatedMerge.
func hubAvailable(s *scope) metav1.Condition {
	c := ofHub(s, controlplanev1.ConditionHubAvailable, heavenv1.MergeAvailable)
	if s.gathered && s.have.Merge == nil {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, ReasonWaiting, "The hub does not exist yet"
	}
	return c
}

// ofHub mirrors a condition of the AutomatedMerge; without one nobody has looked.
func ofHub(s *scope, condition, of string) metav1.Condition {
	c := metav1.Condition{Type: condition, Status: metav1.ConditionUnknown, Reason: ReasonNotObserved}
	if s.gathered && s.have.Merge != nil {
		mirror(&c, conditions.Get(s.have.Merge, of), "the hub")
	}
	return c
}

// componentHealthy:
//
//	looked  wanted   heaven   -> Healthy       Reason
//	no      -        -           Unknown       NotObserved
//	yes     unknown  absent      Unknown       NotObserved
//	yes     no       -           True          Disabled
//	yes     known    absent      False         Waiting, with the plan's why
//	yes     -        exists      the heaven's  the heaven's
func componentHealthy(s *scope, condition, component string) metav1.Condition {
	c := metav1.Condition{Type: condition, Status: metav1.ConditionUnknown, Reason: ReasonNotObserved}
	name := heaven.Name(s.cluster.Name, component)
	h := s.have.Heavens[name]
	switch {
	case !s.gathered:
	case s.want != nil && !wanted(s, name):
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, ReasonDisabled, "The control plane is without "+component
	case h != nil:
		mirror(&c, conditions.Get(h, heavenv1.HeavenAvailable), component)
	case s.want != nil:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, ReasonWaiting, reconcile.Sentence(whyNot(s, name))
	}
	return c
}

// componentsHealthy sums up the additional components: the worst of them counts.
func componentsHealthy(s *scope) metav1.Condition {
	c := metav1.Condition{Type: controlplanev1.ConditionComponentsHealthy, Status: metav1.ConditionTrue, Reason: ReasonNoComponents}
	additional := s.hcp.Spec.Components.Additional
	if len(additional) > 0 {
		c.Reason = ReasonAvailable
	}
	var sick []string
	for _, a := range additional {
		part := componentHealthy(s, c.Type, a.Name)
		if part.Status == metav1.ConditionTrue {
			continue
		}
		if c.Status != metav1.ConditionFalse {
			c.Status, c.Reason = part.Status, part.Reason
		}
		sick = append(sick, a.Name+": "+cmp.Or(part.Message, part.Reason))
	}
	c.Message = strings.Join(sick, "; ")
	return c
}

// synced sums up the heavens:
//
//	heavens                       -> Synced   Reason
//	none                             Unknown  NotObserved
//	one has unmerged commits         False    NotSynced
//	of one it is not known           Unknown  NotObserved
//	all are merged                   True     Synced
func synced(s *scope) metav1.Condition {
	c := metav1.Condition{Type: controlplanev1.ConditionSynced, Status: metav1.ConditionTrue, Reason: ReasonSynced}
	var behind []string
	for _, h := range sorted(s.have.Heavens) {
		got := conditions.Get(h, heavenv1.HeavenSynced)
		switch {
		case got != nil && got.Status == metav1.ConditionTrue:
			continue
		case got != nil && got.Status == metav1.ConditionFalse:
			c.Status, c.Reason = metav1.ConditionFalse, ReasonNotSynced
			behind = append(behind, heaven.ComponentName(h)+": "+got.Message)
		case c.Status == metav1.ConditionTrue:
			c.Status, c.Reason = metav1.ConditionUnknown, ReasonNotObserved
		}
	}
	if len(s.have.Heavens) == 0 {
		c.Status, c.Reason = metav1.ConditionUnknown, ReasonNotObserved
	}
	c.Message = strings.Join(behind, "; ")
	return c
}

// rolling says what is still on its way; empty when all is settled.
func rolling(s *scope) string {
	var parts []string
	for _, step := range s.steps {
		if step.Action == heaven.Wait {
			parts = append(parts, fmt.Sprintf("%s waits: %s", step.Name, step.Why))
		}
	}
	for _, h := range sorted(s.have.Heavens) {
		if c := conditions.Get(h, heavenv1.HeavenProgressing); c == nil || c.Status == metav1.ConditionTrue {
			parts = append(parts, fmt.Sprintf("%s is changing", h.Name))
		}
	}
	return strings.Join(parts, "; ")
}

// report is the status beside the conditions.
func report(s *scope) {
	status := &s.hcp.Status
	// Without it Cluster API neither drains workers nor deletes their Nodes.
	status.ExternalManagedControlPlane = new(true)
	if s.probed && s.probeFailure == nil {
		status.Initialization.ControlPlaneInitialized = new(true)
	}
	if !s.gathered {
		return
	}
	status.Components, status.Versions = nil, nil
	if s.have.Merge != nil {
		status.MergeFindings = *s.have.Merge.Status.MergeFindings.DeepCopy()
	}
	for _, h := range sorted(s.have.Heavens) {
		c := controlplanev1.ComponentStatus{
			Name: heaven.ComponentName(h), Branch: h.Spec.Branch, Head: h.Status.Head, Epoch: h.Status.Epoch, Version: h.Status.Version,
		}
		if got := conditions.Get(h, heavenv1.HeavenAvailable); got != nil && got.Status != metav1.ConditionUnknown {
			c.Ready, c.Message = new(got.Status == metav1.ConditionTrue), short(got.Message)
		}
		status.Components = append(status.Components, c)
		known := func(v clusterv1.StatusVersion) bool { return v.Version == h.Status.Version }
		if h.Status.Version != "" && !slices.ContainsFunc(status.Versions, known) {
			status.Versions = append(status.Versions, clusterv1.StatusVersion{Version: h.Status.Version})
		}
	}
	slices.SortFunc(status.Versions, func(a, b clusterv1.StatusVersion) int { return compareVersions(a.Version, b.Version) })
}

// compareVersions puts the older first; what is no version comes by its letters.
func compareVersions(a, b string) int {
	first, errFirst := version.ParseSemantic(a)
	second, errSecond := version.ParseSemantic(b)
	switch {
	case errFirst != nil || errSecond != nil:
		return cmp.Compare(a, b)
	case first.LessThan(second):
		return -1
	case second.LessThan(first):
		return 1
	}
	return 0
}

// mirror takes over a part's own condition.
func mirror(c, part *metav1.Condition, who string) {
	if part == nil {
		c.Message = reconcile.Sentence(who + " has not said anything yet")
		return
	}
	c.Status, c.Reason, c.Message = part.Status, part.Reason, part.Message
}

func wanted(s *scope, name string) bool {
	return slices.ContainsFunc(s.want.Heavens(), func(h *heavenv1.TrishankuHeaven) bool { return h.Name == name })
}

// whyNot is why a heaven does not exist yet.
func whyNot(s *scope, name string) string {
	for _, step := range s.steps {
		if step.Name == name && step.Action == heaven.Wait {
			return step.Why
		}
	}
	return "it does not exist yet"
}

func sorted(heavens map[string]*heavenv1.TrishankuHeaven) []*heavenv1.TrishankuHeaven {
	list := make([]*heavenv1.TrishankuHeaven, 0, len(heavens))
	for _, h := range heavens {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b *heavenv1.TrishankuHeaven) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// short keeps a message within what the API allows.
func short(message string) string {
	const longest = 1000
	if len(message) > longest {
		return strings.ToValidUTF8(message[:longest], "") + "…"
	}
	return message
}
