// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-api/util/conditions"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// Reasons.
const (
	ReasonDeleting            = "Deleting"
	ReasonNotDeleting         = "NotDeleting"
	ReasonFailed              = "ReconcileFailed"
	ReasonSecretMissing       = "SecretMissing"
	ReasonCertificatesInvalid = "CertificatesInvalid"
	ReasonSpecInvalid         = "SpecInvalid"
	ReasonNotObserved         = "NotObserved"
	ReasonNotAnswering        = "NotAnswering"
	ReasonMergesFailing       = "MergesFailing"
	ReasonAvailable           = "Available"
	ReasonEndpointPending     = "EndpointPending"
	ReasonEndpointKnown       = "EndpointKnown"
	ReasonMainAbsent          = "MainAbsent"
	ReasonMainExists          = "MainExists"
	ReasonConflicts           = "ConflictsRecorded"
	ReasonConflictFree        = "ConflictFree"
	ReasonResolved            = "ConflictsResolved"
	ReasonQuarantined         = "ChangesWait"
	ReasonQuarantineEmpty     = "NothingWaits"
	ReasonNoForge             = "NoForge"
	ReasonForgeInStep         = "InStep"
	ReasonForgeBehind         = "Behind"
	ReasonForgeFailing        = "PushesFailing"
	ReasonForgeRewritten      = "HistoryRewritten"
)

// table is a table of states of what one reconcile has seen.
type table = reconcile.Table[*scope]

var say = reconcile.Say[*scope]

// judge is the only writer of conditions and status.
func judge(s *scope) {
	report(s)
	for _, t := range []struct {
		condition string
		table     table
	}{
		{heavenv1.MergeAvailable, availableTable},
		{heavenv1.MergeEndpointReady, endpointTable},
		{heavenv1.MergeMainReady, mainTable},
		{heavenv1.MergeConflictFree, conflictTable},
		{heavenv1.MergeQuarantineEmpty, quarantineTable},
		{heavenv1.MergeForgeInStep, forgeTable},
		{heavenv1.MergeDeleting, deletingTable},
	} {
		c := t.table.Decide(t.condition, s)
		if c.Reason == "" {
			// For a workload that is on its way, the stage it is in.
			c.Reason = string(s.seen.Stage)
		}
		conditions.Set(s.merge, c)
	}
}

// report writes down what the hub said. What it said once stays until it says something else.
func report(s *scope) {
	status := &s.merge.Status
	if s.location.Internal.Host != "" {
		status.Endpoint = heavenv1.MergeEndpoint{Internal: s.location.Internal, External: s.location.External}
	}
	if s.hub == nil {
		return
	}
	status.MainHead = s.hub.Main
	reportFindings(s)
	status.Branches = make([]heavenv1.BranchStatus, 0, len(s.hub.Branches))
	for _, b := range s.hub.Branches {
		known := heavenv1.BranchStatus{Name: b.Name, Head: b.Head, Epoch: new(b.Epoch), Holder: b.Holder, Merged: b.Merged, LastPush: wholeSeconds(b.LastPush)}
		if s.hub.Quarantine != nil {
			known.Quarantined = new(b.Quarantined)
		}
		known.OldestUnmirrored = unmirrored(s.hub.Forge, b.Name)
		status.Branches = append(status.Branches, known)
	}
	slices.SortFunc(status.Branches, func(a, b heavenv1.BranchStatus) int { return cmp.Compare(a.Name, b.Name) })
}

// Available:
//
//	deleting  stage       hub            failed  secret   certificates  spec  -> Available  Reason
//	yes       -           -              -       -        -             -        False      Deleting
//	-         not seen    -              -       -        -             -        Unknown    NotObserved
//	-         Unobserved  -              -       -        -             -        Unknown    Unobserved
//	-         Ready       cannot merge   -       -        -             -        False      MergesFailing
//	-         Ready       answers        -       -        -             -        True       Available
//	-         Ready       silent         -       -        -             -        False      NotAnswering
//	-         -           -              yes     -        -             -        Unknown    ReconcileFailed
//	-         -           -              -       missing  -             -        False      SecretMissing
//	-         -           -              -       -        bad           -        False      CertificatesInvalid
//	-         -           -              -       -        -             bad      False      SpecInvalid
//	-         Ready       not asked      -       -        -             -        Unknown    NotObserved
//	-         other       -              -       -        -             -        False      the stage
var availableTable = table{
	reconcile.If(deleting, metav1.ConditionFalse, ReasonDeleting, say("The hub is being deleted")),
	reconcile.If(func(s *scope) bool { return s.seen == nil }, metav1.ConditionUnknown, ReasonNotObserved, sayNotSeen),
	reconcile.If(stage(heaven.StageUnobserved), metav1.ConditionUnknown, "", sayStage),
	reconcile.If(failing, metav1.ConditionFalse, ReasonMergesFailing, func(s *scope) string { return "Merging into main fails: " + s.hub.LastError }),
	reconcile.If(answers, metav1.ConditionTrue, ReasonAvailable, refused),
	reconcile.If(silent, metav1.ConditionFalse, ReasonNotAnswering, func(s *scope) string { return reconcile.Sentence(s.hubFailure.Error()) }),
	reconcile.If(func(s *scope) bool { return s.failure != nil }, metav1.ConditionUnknown, ReasonFailed, func(s *scope) string { return reconcile.Sentence(s.failure.Error()) }),
	reconcile.If(secretMissing, metav1.ConditionFalse, ReasonSecretMissing, saySecret),
	reconcile.If(func(s *scope) bool { return s.certificatesFailure != nil }, metav1.ConditionFalse, ReasonCertificatesInvalid, func(s *scope) string { return reconcile.Sentence(s.certificatesFailure.Error()) }),
	reconcile.If(func(s *scope) bool { return s.specFailure != nil }, metav1.ConditionFalse, ReasonSpecInvalid, func(s *scope) string { return reconcile.Sentence(s.specFailure.Error()) }),
	reconcile.If(stage(heaven.StageReady), metav1.ConditionUnknown, ReasonNotObserved, say("The hub was not asked: the Service has no address yet")),
	reconcile.Else(metav1.ConditionFalse, "", sayStage),
}

// EndpointReady:
//
//	deleting  external address  -> EndpointReady  Reason
//	yes       -                    False          Deleting
//	-         known                True           EndpointKnown
//	-         -, with a why        False          EndpointPending
//	-         -, nobody looked     Unknown        NotObserved
var endpointTable = table{
	reconcile.If(deleting, metav1.ConditionFalse, ReasonDeleting, say("The hub is being deleted")),
	reconcile.If(func(s *scope) bool { return s.location.External.Host != "" }, metav1.ConditionTrue, ReasonEndpointKnown, say("")),
	reconcile.If(func(s *scope) bool { return s.location.Why != "" }, metav1.ConditionFalse, ReasonEndpointPending, func(s *scope) string { return "Waiting: " + s.location.Why }),
	reconcile.Else(metav1.ConditionUnknown, ReasonNotObserved, sayNotSeen),
}

// MainReady. Main never goes once it exists, so what the hub said last is good while it is silent:
//
//	main, as said last  hub ever answered  -> MainReady  Reason
//	exists              -                     True       MainExists
//	absent              yes                   False      MainAbsent
//	absent              no                    Unknown    NotObserved
var mainTable = table{
	reconcile.If(func(s *scope) bool { return s.merge.Status.MainHead != "" }, metav1.ConditionTrue, ReasonMainExists, say("")),
	reconcile.If(func(s *scope) bool { return s.hub != nil }, metav1.ConditionFalse, ReasonMainAbsent, func(s *scope) string {
		genesis := cmp.Or(s.merge.Spec.Branches.Genesis, heavenv1.HeavenBranchPrefix+heavenv1.FrontDoor)
		return fmt.Sprintf("Waiting for the first push of branch %s, which main is made from", genesis)
	}),
	reconcile.Else(metav1.ConditionUnknown, ReasonNotObserved, say("The hub has not answered yet")),
}

// Deleting:
//
//	deleting  remaining  -> Deleting  Reason
//	no        -             False     NotDeleting
//	yes       something     True      Deleting, with what it waits for
//	yes       nothing       True      Deleting
var deletingTable = table{
	reconcile.If(func(s *scope) bool { return !deleting(s) }, metav1.ConditionFalse, ReasonNotDeleting, say("")),
	reconcile.If(func(s *scope) bool { return s.remaining != "" }, metav1.ConditionTrue, ReasonDeleting, func(s *scope) string { return "Waiting for " + s.remaining }),
	reconcile.Else(metav1.ConditionTrue, ReasonDeleting, say("")),
}

func deleting(s *scope) bool      { return !s.merge.DeletionTimestamp.IsZero() }
func answers(s *scope) bool       { return s.seen.Stage == heaven.StageReady && s.hub != nil }
func failing(s *scope) bool       { return answers(s) && s.hub.LastError != "" }
func silent(s *scope) bool        { return s.seen.Stage == heaven.StageReady && s.hubFailure != nil }
func secretMissing(s *scope) bool { return s.authority == nil || s.forgeMissing != "" }

func stage(want heaven.Stage) func(*scope) bool {
	return func(s *scope) bool { return s.seen.Stage == want }
}

func sayStage(s *scope) string { return reconcile.Sentence(s.seen.Message) }

// refused names the branches that the hub does not take as they are.
func refused(s *scope) string {
	var lines []string
	for _, b := range s.hub.Branches {
		if b.LastError != "" {
			lines = append(lines, fmt.Sprintf("branch %s was refused: %s", b.Name, b.LastError))
		}
	}
	slices.Sort(lines)
	return reconcile.Sentence(strings.Join(lines, "; "))
}

func sayNotSeen(*scope) string { return "Nobody has looked in this reconcile" }

func saySecret(s *scope) string {
	if s.authority != nil {
		return sayForgeMissing(s)
	}
	return fmt.Sprintf("Waiting for Secret %s: the control plane makes it, or you provide it", heaven.HubAuthority(s.merge))
}

// tell records as events what people want to see happen.
func (r *Reconciler) tell(s *scope) {
	for _, what := range s.changed {
		r.Recorder.Eventf(s.merge, nil, corev1.EventTypeNormal, "Applied", "Apply", "Applied %s", what)
	}
	if s.certificates != nil {
		for _, renewal := range s.certificates.Renewed {
			r.Recorder.Eventf(s.merge, nil, corev1.EventTypeNormal, "CertificateMade", "Renew", "%s", reconcile.Sentence(renewal.String()))
		}
	}
	r.tellForge(s)
	now := conditions.Get(s.merge, heavenv1.MergeAvailable)
	reconcile.Announce(r.Recorder, s.merge, s.before, now, string(heaven.StageFailing), ReasonFailed, ReasonNotAnswering, ReasonMergesFailing)
}
