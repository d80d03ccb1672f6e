// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package trishankuheaven

import (
	"fmt"
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
	ReasonSecretsMissing      = "SecretsMissing"
	ReasonCertificatesInvalid = "CertificatesInvalid"
	ReasonCertificatesValid   = "CertificatesValid"
	ReasonSpecInvalid         = "SpecInvalid"
	ReasonNotObserved         = "NotObserved"
	ReasonAvailable           = "Available"
	ReasonRolling             = "Rolling"
	ReasonSettled             = "Settled"
	ReasonHubNotFound         = "HubNotFound"
	ReasonHubUnavailable      = "HubUnavailable"
	ReasonNotPushed           = "NotPushed"
	ReasonNotMerged           = "NotMerged"
	ReasonSynced              = "Synced"
)

// table is a table of states of what one reconcile has seen.
type table = reconcile.Table[*scope]

var say = reconcile.Say[*scope]

// judge is the only writer of conditions and status.
func judge(s *scope) {
	for _, t := range []struct {
		condition string
		table     table
	}{
		{heavenv1.HeavenAvailable, availableTable},
		{heavenv1.HeavenProgressing, progressingTable},
		{heavenv1.HeavenCertificatesReady, certificatesTable},
		{heavenv1.HeavenSynced, syncedTable},
		{heavenv1.HeavenDeleting, deletingTable},
	} {
		c := t.table.Decide(t.condition, s)
		if c.Reason == "" {
			// For a workload that is on its way, the stage it is in.
			c.Reason = string(s.seen.Stage)
		}
		conditions.Set(s.heaven, c)
	}
	status := &s.heaven.Status
	if s.location.External.Host != "" {
		status.Endpoint = s.location.External
	}
	if ready(s) && s.seen.Settled {
		status.Version = s.heaven.Spec.Version
	}
	if b := branch(s); b != nil {
		status.Head, status.Epoch, status.Holder = b.Head, b.Epoch, b.Holder
	}
}

// Available:
//
//	deleting  stage       failed  secrets  certificates  spec  -> Available  Reason
//	yes       -           -       -        -             -        False      Deleting
//	-         not seen    -       -        -             -        Unknown    NotObserved
//	-         Unobserved  -       -        -             -        Unknown    Unobserved
//	-         Ready       -       -        -             -        True       Available
//	-         other       yes     -        -             -        Unknown    ReconcileFailed
//	-         other       -       missing  -             -        False      SecretsMissing
//	-         other       -       -        bad           -        False      CertificatesInvalid
//	-         other       -       -        -             bad      False      SpecInvalid
//	-         other       -       -        -             -        False      the stage
var availableTable = table{
	reconcile.If(deleting, metav1.ConditionFalse, ReasonDeleting, say("The heaven is being deleted")),
	reconcile.If(notSeen, metav1.ConditionUnknown, ReasonNotObserved, sayNotSeen),
	reconcile.If(stage(heaven.StageUnobserved), metav1.ConditionUnknown, "", sayStage),
	reconcile.If(ready, metav1.ConditionTrue, ReasonAvailable, say("")),
	reconcile.If(failed, metav1.ConditionUnknown, ReasonFailed, sayFailure),
	reconcile.If(secretsMissing, metav1.ConditionFalse, ReasonSecretsMissing, saySecrets),
	reconcile.If(certificatesBad, metav1.ConditionFalse, ReasonCertificatesInvalid, sayCertificates),
	reconcile.If(specBad, metav1.ConditionFalse, ReasonSpecInvalid, saySpec),
	reconcile.Else(metav1.ConditionFalse, "", sayStage),
}

// Progressing, which is not good as long as it is True, and not good either while it is False with a reason other than
// Settled:
//
//	deleting  failed  secrets  certificates  spec  stage              -> Progressing  Reason
//	yes       -       -        -             -     -                     False        Deleting
//	-         yes     -        -             -     -                     Unknown      ReconcileFailed
//	-         -       missing  -             -     -                     False        SecretsMissing
//	-         -       -        bad           -     -                     False        CertificatesInvalid
//	-         -       -        -             bad   -                     False        SpecInvalid
//	-         -       -        -             -     not seen              Unknown      NotObserved
//	-         -       -        -             -     Ready and settled     False        Settled
//	-         -       -        -             -     other                 True         Rolling
var progressingTable = table{
	reconcile.If(deleting, metav1.ConditionFalse, ReasonDeleting, say("The heaven is being deleted")),
	reconcile.If(failed, metav1.ConditionUnknown, ReasonFailed, sayFailure),
	reconcile.If(secretsMissing, metav1.ConditionFalse, ReasonSecretsMissing, saySecrets),
	reconcile.If(certificatesBad, metav1.ConditionFalse, ReasonCertificatesInvalid, sayCertificates),
	reconcile.If(specBad, metav1.ConditionFalse, ReasonSpecInvalid, saySpec),
	reconcile.If(notSeen, metav1.ConditionUnknown, ReasonNotObserved, sayNotSeen),
	reconcile.If(func(s *scope) bool { return ready(s) && s.seen.Settled }, metav1.ConditionFalse, ReasonSettled, say("")),
	reconcile.Else(metav1.ConditionTrue, ReasonRolling, sayStage),
}

// CertificatesReady:
//
//	secrets  certificates  -> CertificatesReady  Reason
//	missing  -                False              SecretsMissing
//	-        bad              False              CertificatesInvalid
//	-        not looked at    Unknown            NotObserved
//	-        made             True               CertificatesValid
var certificatesTable = table{
	reconcile.If(secretsMissing, metav1.ConditionFalse, ReasonSecretsMissing, saySecrets),
	reconcile.If(certificatesBad, metav1.ConditionFalse, ReasonCertificatesInvalid, sayCertificates),
	reconcile.If(func(s *scope) bool { return s.certificates == nil }, metav1.ConditionUnknown, ReasonNotObserved, sayNotSeen),
	reconcile.Else(metav1.ConditionTrue, ReasonCertificatesValid, say("")),
}

// Synced, as the hub sees it. While a merge is due, everything that the hub knows of has reached it:
//
//	hub           branch     merged   -> Synced   Reason
//	absent        -          -           Unknown  HubNotFound
//	unavailable   -          -           Unknown  HubUnavailable
//	available     absent     -           False    NotPushed
//	available     received   refused     False    NotMerged
//	available     received   due or yes  True     Synced
var syncedTable = table{
	reconcile.If(func(s *scope) bool { return s.merge == nil }, metav1.ConditionUnknown, ReasonHubNotFound, func(s *scope) string {
		return fmt.Sprintf("There is no AutomatedMerge %s", heaven.MergeName(s.heaven.Spec.ClusterName))
	}),
	reconcile.If(func(s *scope) bool { return !conditions.IsTrue(s.merge, heavenv1.MergeAvailable) }, metav1.ConditionUnknown, ReasonHubUnavailable, func(s *scope) string {
		return "The hub is not available: " + conditions.GetMessage(s.merge, heavenv1.MergeAvailable)
	}),
	reconcile.If(func(s *scope) bool { return branch(s) == nil }, metav1.ConditionFalse, ReasonNotPushed, func(s *scope) string {
		return fmt.Sprintf("The hub has not received branch %s yet", s.heaven.Spec.Branch)
	}),
	reconcile.If(func(s *scope) bool { return branch(s).Merged != nil && !*branch(s).Merged }, metav1.ConditionFalse, ReasonNotMerged, func(s *scope) string {
		return fmt.Sprintf("The hub does not merge commit %s into %s; the AutomatedMerge says why", branch(s).Head, heavenv1.MainBranch)
	}),
	reconcile.Else(metav1.ConditionTrue, ReasonSynced, say("")),
}

// Deleting:
//
//	deleting  remaining  -> Deleting  Reason
//	no        -             False     NotDeleting
//	yes       -             True      Deleting
var deletingTable = table{
	reconcile.If(func(s *scope) bool { return !deleting(s) }, metav1.ConditionFalse, ReasonNotDeleting, say("")),
	reconcile.If(func(s *scope) bool { return s.remaining != "" }, metav1.ConditionTrue, ReasonDeleting, func(s *scope) string { return "Waiting for " + s.remaining }),
	reconcile.Else(metav1.ConditionTrue, ReasonDeleting, say("")),
}

func deleting(s *scope) bool        { return !s.heaven.DeletionTimestamp.IsZero() }
func failed(s *scope) bool          { return s.failure != nil }
func secretsMissing(s *scope) bool  { return len(s.missing) > 0 }
func certificatesBad(s *scope) bool { return s.certificatesFailure != nil }
func specBad(s *scope) bool         { return s.specFailure != nil }
func notSeen(s *scope) bool         { return s.seen == nil }
func ready(s *scope) bool           { return s.seen != nil && s.seen.Stage == heaven.StageReady }

func stage(want heaven.Stage) func(*scope) bool {
	return func(s *scope) bool { return s.seen.Stage == want }
}

func sayNotSeen(*scope) string        { return "Nobody has looked in this reconcile" }
func sayFailure(s *scope) string      { return reconcile.Sentence(s.failure.Error()) }
func sayCertificates(s *scope) string { return reconcile.Sentence(s.certificatesFailure.Error()) }
func saySpec(s *scope) string         { return reconcile.Sentence(s.specFailure.Error()) }

func sayStage(s *scope) string { return reconcile.Sentence(s.seen.Message) }

func saySecrets(s *scope) string {
	return fmt.Sprintf("Waiting for Secrets %s: the control plane makes them, or you provide them", strings.Join(s.missing, ", "))
}

// branch is what the hub knows of the heaven's branch, nil if nothing.
func branch(s *scope) *heavenv1.BranchStatus {
	if s.merge == nil {
		return nil
	}
	for i, b := range s.merge.Status.Branches {
		if b.Name == s.heaven.Spec.Branch {
			return &s.merge.Status.Branches[i]
		}
	}
	return nil
}

// tell records as events what people want to see happen.
func (r *Reconciler) tell(s *scope) {
	for _, what := range s.changed {
		r.Recorder.Eventf(s.heaven, nil, corev1.EventTypeNormal, "Applied", "Apply", "Applied %s", what)
	}
	if s.certificates != nil {
		for _, renewal := range s.certificates.Renewed {
			r.Recorder.Eventf(s.heaven, nil, corev1.EventTypeNormal, "CertificateMade", "Renew", "%s", reconcile.Sentence(renewal.String()))
		}
	}
	now := conditions.Get(s.heaven, heavenv1.HeavenAvailable)
	reconcile.Announce(r.Recorder, s.heaven, s.before, now, string(heaven.StageFailing), ReasonFailed)
}
