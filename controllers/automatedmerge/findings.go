// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-api/util/conditions"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

const (
	// mostNamed is how many conflicts, or changes in quarantine, a message and the events of one reconcile name. The rest
	// is a number: a storm of conflicts is one Event every time the hub is asked.
	mostNamed = 3

	// forgeSlack is how far the forge may be behind without a word: it is pushed to a few times a minute.
	forgeSlack = 2 * time.Minute

	// waits is the state of a change that nobody has approved or rejected.
	waits = "Waiting"
)

// reportFindings writes down what the hub said of conflicts, quarantine and forge.
func reportFindings(s *scope) {
	status := &s.merge.Status
	if c := s.hub.Records; c != nil {
		status.Conflicts = heavenv1.ConflictCount{Open: new(c.Open), Recorded: new(c.Filed)}
	}
	if q := s.hub.Quarantine; q != nil {
		status.Quarantine = heavenv1.QuarantineCount{
			Waiting: new(q.Waiting), Rejected: new(q.Rejected), Recorded: new(q.Total), Oldest: wholeSeconds(q.Since),
		}
	}
	status.Forge = heavenv1.ForgeStatus{}
	if f := s.hub.Forge; f != nil {
		status.Forge = heavenv1.ForgeStatus{
			URL: f.URL, Connected: new(f.Connected), OldestUnmirrored: wholeSeconds(f.OldestUnpushed), LastPush: wholeSeconds(f.LastPush),
			WebhookURL: s.webhookURL,
		}
	}
}

// wholeSeconds is what the API keeps of a time; a finer one would differ from it for ever.
func wholeSeconds(t *time.Time) metav1.Time {
	if t == nil {
		return metav1.Time{}
	}
	return metav1.NewTime(*t).Rfc3339Copy()
}

// unmirrored is the time of the oldest change of a branch that the forge lacks.
func unmirrored(f *HubForge, branch string) metav1.Time {
	if f == nil {
		return metav1.Time{}
	}
	i := slices.IndexFunc(f.Branches, func(b HubForgeBranch) bool { return b.Name == branch })
	if i < 0 {
		return metav1.Time{}
	}
	return wholeSeconds(f.Branches[i].Oldest)
}

// ConflictFree:
//
//	recorded, as said last  open          -> ConflictFree  Reason
//	not known               -                Unknown       NotObserved
//	none                    -                True          ConflictFree
//	some                    none             True          ConflictsResolved
//	some                    at least one     False         ConflictsRecorded
var conflictTable = table{
	reconcile.If(func(s *scope) bool { return s.merge.Status.Conflicts.Recorded == nil }, metav1.ConditionUnknown, ReasonNotObserved, say("The hub has not answered yet")),
	reconcile.If(func(s *scope) bool { return *s.merge.Status.Conflicts.Recorded == 0 }, metav1.ConditionTrue, ReasonConflictFree, say("")),
	reconcile.If(func(s *scope) bool { return *s.merge.Status.Conflicts.Open == 0 }, metav1.ConditionTrue, ReasonResolved, func(s *scope) string {
		return fmt.Sprintf("Of %d conflicts on record, all have been resolved", *s.merge.Status.Conflicts.Recorded)
	}),
	reconcile.Else(metav1.ConditionFalse, ReasonConflicts, sayConflicts),
}

func sayConflicts(s *scope) string {
	text := numbered(*s.merge.Status.Conflicts.Open, "conflict waits", "conflicts wait") + " for a person to look; gitcd conflicts list shows both sides"
	if s.hub == nil || s.hub.Records == nil || len(s.hub.Records.Recent) == 0 {
		return text
	}
	recent := s.hub.Records.Recent
	return text + ". The last: " + joined(recent[max(0, len(recent)-mostNamed):], HubConflict.String)
}

// String is a conflict as people read it.
func (c HubConflict) String() string {
	what := c.Key
	if c.Path != "" {
		what = c.Path + " of " + c.Key
	}
	return fmt.Sprintf("%s and %s both changed %s: %s's stands (%s, %s)", c.Took, c.Other, what, c.Took, c.Rule, c.ID)
}

// QuarantineEmpty:
//
//	waiting, as said last  -> QuarantineEmpty  Reason
//	not known                 Unknown          NotObserved
//	none                      True             NothingWaits
//	some                      False            ChangesWait
var quarantineTable = table{
	reconcile.If(func(s *scope) bool { return s.merge.Status.Quarantine.Waiting == nil }, metav1.ConditionUnknown, ReasonNotObserved, say("The hub has not said yet what waits in quarantine")),
	reconcile.If(func(s *scope) bool { return *s.merge.Status.Quarantine.Waiting == 0 }, metav1.ConditionTrue, ReasonQuarantineEmpty, say("")),
	reconcile.Else(metav1.ConditionFalse, ReasonQuarantined, sayQuarantine),
}

func sayQuarantine(s *scope) string {
	text := numbered(*s.merge.Status.Quarantine.Waiting, "change waits", "changes wait") + " for a person; gitcd quarantine list shows them"
	if s.hub == nil || s.hub.Quarantine == nil {
		return text
	}
	waiting := slices.DeleteFunc(slices.Clone(s.hub.Quarantine.Entries), func(h HubHeld) bool { return h.State != waits })
	if len(waiting) == 0 {
		return text
	}
	return text + ". The oldest: " + joined(waiting[:min(len(waiting), mostNamed)], HubHeld.String)
}

// String is a change in quarantine as people read it. The reason names branch and gate.
func (h HubHeld) String() string {
	return fmt.Sprintf("%s %s: %s", h.Verb, h.Key, h.Reason)
}

// ForgeInStep:
//
//	Secrets  hub      forge  kept refs  error  oldest change it lacks  -> ForgeInStep  Reason
//	missing  -        -      -          -      -                          False        SecretMissing
//	-        silent   -      -          -      -                          Unknown      NotObserved
//	-        answers  none   -          -      -                          True         NoForge
//	-        answers  there  some       -      -                          False        HistoryRewritten
//	-        answers  silent -          yes    some                       False        PushesFailing
//	-        answers  there  -          yes    older than the slack       False        PushesFailing
//	-        answers  there  -          -      older than the slack       False        Behind
//	-        answers  there  -          yes    none                       True         InStep, with the error
//	-        answers  there  -          -      -                          True         InStep
var forgeTable = table{
	reconcile.If(func(s *scope) bool { return s.forgeMissing != "" }, metav1.ConditionFalse, ReasonSecretMissing, sayForgeMissing),
	reconcile.If(func(s *scope) bool { return s.hub == nil }, metav1.ConditionUnknown, ReasonNotObserved, say("The hub does not answer")),
	reconcile.If(func(s *scope) bool { return s.hub.Forge == nil }, metav1.ConditionTrue, ReasonNoForge, say("There is no forge: the hub's volume is the repository")),
	reconcile.If(func(s *scope) bool { return len(s.hub.Forge.Kept) > 0 }, metav1.ConditionFalse, ReasonForgeRewritten, func(s *scope) string {
		return "The forge has histories that are not merged, a person must look: " + strings.Join(s.hub.Forge.Kept, ", ")
	}),
	reconcile.If(func(s *scope) bool {
		return s.hub.Forge.LastError != "" && (behind(s, 0) && !s.hub.Forge.Connected || behind(s, forgeSlack))
	}, metav1.ConditionFalse, ReasonForgeFailing, func(s *scope) string {
		return fmt.Sprintf("The forge lacks what changed since %s: %s", since(s), s.hub.Forge.LastError)
	}),
	reconcile.If(func(s *scope) bool { return behind(s, forgeSlack) }, metav1.ConditionFalse, ReasonForgeBehind, func(s *scope) string {
		return fmt.Sprintf("The forge lacks what changed since %s", since(s))
	}),
	reconcile.If(func(s *scope) bool { return s.hub.Forge.LastError != "" && !behind(s, 0) }, metav1.ConditionTrue, ReasonForgeInStep, func(s *scope) string {
		return "The forge lacks nothing, but did not answer when it was asked last: " + s.hub.Forge.LastError
	}),
	reconcile.Else(metav1.ConditionTrue, ReasonForgeInStep, say("")),
}

func sayForgeMissing(s *scope) string {
	return fmt.Sprintf("GitRepository %s names what is not there: %s; create it. Until then the hub is left as it is", s.repository.Name, s.forgeMissing)
}

// tellForge records as events when the forge falls behind, and when it is in step again.
func (r *Reconciler) tellForge(s *scope) {
	now := conditions.Get(s.merge, heavenv1.MergeForgeInStep)
	if now.Status == metav1.ConditionUnknown || s.forgeBefore != nil && s.forgeBefore.Status == now.Status && s.forgeBefore.Reason == now.Reason {
		return
	}
	switch {
	case now.Status == metav1.ConditionFalse:
		r.Recorder.Eventf(s.merge, nil, corev1.EventTypeWarning, "Forge"+now.Reason, "Mirror", "%s", now.Message)
	case now.Reason == ReasonForgeInStep:
		r.Recorder.Eventf(s.merge, nil, corev1.EventTypeNormal, "Forge"+now.Reason, "Mirror", "%s is in step", s.hub.Forge.URL)
	}
}

// behind says whether the forge lacks something that is older than that.
func behind(s *scope, than time.Duration) bool {
	oldest := s.hub.Forge.OldestUnpushed
	return oldest != nil && s.now.Sub(*oldest) > than
}

func since(s *scope) string { return s.hub.Forge.OldestUnpushed.UTC().Format(time.RFC3339) }

func joined[T any](items []T, text func(T) string) string {
	lines := make([]string, 0, len(items))
	for _, i := range items {
		lines = append(lines, text(i))
	}
	return strings.Join(lines, "; ")
}

// tellFindings records as events what the hub has found since it was asked last: each once, and many as one.
func (r *Reconciler) tellFindings(s *scope) {
	if s.hub == nil {
		return
	}
	if c := s.hub.Records; c != nil {
		seen := numberOf(s.told.Conflicts.Recorded)
		fresh := slices.DeleteFunc(slices.Clone(c.Recent), func(c HubConflict) bool { return c.Number <= seen })
		r.warn(s, "ConflictRecorded", "Merge", c.Filed-seen, namesOf(fresh, HubConflict.String), "conflicts were recorded; gitcd conflicts list shows them")
	}
	if q := s.hub.Quarantine; q != nil {
		fresh := slices.Clone(q.Entries)
		slices.SortStableFunc(fresh, func(a, b HubHeld) int { return a.Since.Compare(b.Since) })
		count := q.Total - numberOf(s.told.Quarantine.Recorded)
		fresh = fresh[max(0, int64(len(fresh))-max(0, count)):]
		r.warn(s, "ChangeQuarantined", "Gate", count, namesOf(fresh, HubHeld.String), "changes were put in quarantine; gitcd quarantine list shows them")
	}
}

func namesOf[T any](items []T, text func(T) string) []string {
	var names []string
	for _, i := range items {
		names = append(names, text(i))
	}
	return names
}

// warn tells of count things of which some have a name: few of them one by one, many as a number with the last ones.
func (r *Reconciler) warn(s *scope, reason, action string, count int64, names []string, many string) {
	if count <= 0 {
		return
	}
	last := names[max(0, len(names)-mostNamed):]
	if count == int64(len(last)) {
		for _, name := range last {
			r.Recorder.Eventf(s.merge, nil, corev1.EventTypeWarning, reason, action, "%s", reconcile.Sentence(name))
		}
		return
	}
	text := fmt.Sprintf("%d %s", count, many)
	if len(last) > 0 {
		text += ". The last: " + strings.Join(last, "; ")
	}
	r.Recorder.Eventf(s.merge, nil, corev1.EventTypeWarning, reason, action, "%s", text)
}

// numbered is a number with the word for one, or for many.
func numbered(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func numberOf(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}
