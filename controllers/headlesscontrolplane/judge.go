// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-api/util/conditions"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// Reasons.
const (
	ReasonDeleting                 = "Deleting"
	ReasonNotDeleting              = "NotDeleting"
	ReasonFailed                   = "ReconcileFailed"
	ReasonNotObserved              = "NotObserved"
	ReasonWaitingForInfrastructure = "WaitingForInfrastructure"
	ReasonWaiting                  = "Waiting"
	ReasonSpecInvalid              = "SpecInvalid"
	ReasonKeysInvalid              = "KeysInvalid"
	ReasonKeysExist                = "KeysExist"
	ReasonNotAnswering             = "NotAnswering"
	ReasonAnswering                = "Answering"
	ReasonAvailable                = "Available"
	ReasonDisabled                 = "Disabled"
	ReasonNoComponents             = "NoComponents"
	ReasonSynced                   = "Synced"
	ReasonNotSynced                = "NotSynced"
	ReasonRollingOut               = "RollingOut"
	ReasonSettled                  = "Settled"
)

// table is a table of states of what one reconcile has seen.
type table = reconcile.Table[*scope]

var say = reconcile.Say[*scope]

// judge is the only writer of conditions and status. While the control plane goes away, only that is said of it.
func judge(s *scope) {
	report(s)
	conditions.Set(s.hcp, deletingTable.Decide(controlplanev1.ConditionDeleting, s))
	if !deleting(s) {
		conditions.Set(s.hcp, keysTable.Decide(controlplanev1.ConditionCertificatesAvailable, s))
		for _, c := range healthConditions(s) {
			conditions.Set(s.hcp, c)
		}
		conditions.Set(s.hcp, synced(s))
		for _, c := range findings(s) {
			conditions.Set(s.hcp, c)
		}
		conditions.Set(s.hcp, rollingTable.Decide(controlplanev1.ConditionRollingOut, s))
	}
	conditions.Set(s.hcp, available(s))
}

// Available:
//
//	deleting  seen  infrastructure  spec  keys  parts           -> Available      Reason
//	yes       -     -               -     -     -                  False          Deleting
//	-         no    -               -     -     -                  Unknown        NotObserved
//	-         -     -               -     -     all healthy        True           Available
//	-         -     missing         -     -     -                  False          WaitingForInfrastructure
//	-         -     -               bad   -     -                  False          SpecInvalid
//	-         -     -               -     bad   -                  False          KeysInvalid
//	-         -     -               -     -     one not healthy    the part's     the part's
//
// The parts are those of healthConditions, in their order.
func available(s *scope) metav1.Condition {
	parts := healthConditions(s)
	sick := slices.IndexFunc(parts, func(c metav1.Condition) bool { return c.Status != metav1.ConditionTrue })
	c := table{
		reconcile.If(deleting, metav1.ConditionFalse, ReasonDeleting, say("The control plane is being deleted")),
		reconcile.If(func(s *scope) bool { return !s.gathered }, metav1.ConditionUnknown, ReasonNotObserved, sayFailure),
		reconcile.If(func(s *scope) bool { return s.want != nil && sick < 0 }, metav1.ConditionTrue, ReasonAvailable, say("")),
		reconcile.If(waiting, metav1.ConditionFalse, ReasonWaitingForInfrastructure, sayWaiting),
		reconcile.If(specBad, metav1.ConditionFalse, ReasonSpecInvalid, saySpec),
		reconcile.If(keysBad, metav1.ConditionFalse, ReasonKeysInvalid, sayKeys),
	}.Decide(controlplanev1.ConditionAvailable, s)
	if c.Reason != ReasonNotObserved || sick < 0 || !s.gathered {
		return c
	}
	part := parts[sick]
	return metav1.Condition{
		Type: controlplanev1.ConditionAvailable, Status: part.Status, Reason: part.Reason,
		Message: part.Type + ": " + cmp.Or(part.Message, part.Reason),
	}
}

// CertificatesAvailable:
//
//	keys            -> CertificatesAvailable  Reason
//	unusable           False                  KeysInvalid
//	not looked at      Unknown                NotObserved
//	exist              True                   KeysExist
var keysTable = table{
	reconcile.If(keysBad, metav1.ConditionFalse, ReasonKeysInvalid, sayKeys),
	reconcile.If(func(s *scope) bool { return !s.keys }, metav1.ConditionUnknown, ReasonNotObserved, sayWaiting),
	reconcile.Else(metav1.ConditionTrue, ReasonKeysExist, say("")),
}

// RollingOut:
//
//	failed  infrastructure  spec  heavens                 -> RollingOut  Reason
//	-       missing         -     -                          False       WaitingForInfrastructure
//	-       -               bad   -                          False       SpecInvalid
//	yes     -               -     -                          Unknown     ReconcileFailed
//	-       -               -     one waits or changes       True        RollingOut
//	-       -               -     all settled                False       Settled
var rollingTable = table{
	reconcile.If(waiting, metav1.ConditionFalse, ReasonWaitingForInfrastructure, sayWaiting),
	reconcile.If(specBad, metav1.ConditionFalse, ReasonSpecInvalid, saySpec),
	reconcile.If(func(s *scope) bool { return s.failure != nil }, metav1.ConditionUnknown, ReasonFailed, sayFailure),
	reconcile.If(func(s *scope) bool { return rolling(s) != "" }, metav1.ConditionTrue, ReasonRollingOut, rolling),
	reconcile.Else(metav1.ConditionFalse, ReasonSettled, say("")),
}

// Deleting:
//
//	deleting  steps  -> Deleting  Reason
//	no        -         False     NotDeleting
//	yes       some      True      Deleting, with what it waits for
//	yes       none      True      Deleting
var deletingTable = table{
	reconcile.If(func(s *scope) bool { return !deleting(s) }, metav1.ConditionFalse, ReasonNotDeleting, say("")),
	reconcile.If(func(s *scope) bool { return len(s.steps) > 0 }, metav1.ConditionTrue, ReasonDeleting, saySteps),
	reconcile.Else(metav1.ConditionTrue, ReasonDeleting, say("")),
}

func deleting(s *scope) bool { return !s.hcp.DeletionTimestamp.IsZero() }
func waiting(s *scope) bool  { return s.waiting }
func specBad(s *scope) bool  { return s.specFailure != nil }
func keysBad(s *scope) bool  { return s.keysFailure != nil }

func saySpec(s *scope) string { return reconcile.Sentence(s.specFailure.Error()) }
func sayKeys(s *scope) string { return reconcile.Sentence(s.keysFailure.Error()) }

func sayFailure(s *scope) string {
	if s.failure == nil {
		return "Nobody has looked in this reconcile"
	}
	return reconcile.Sentence(s.failure.Error())
}

func sayWaiting(s *scope) string {
	if s.waiting {
		return "Waiting for the Cluster's infrastructure: its Git repository is not ready"
	}
	return "Nobody has looked in this reconcile"
}

func saySteps(s *scope) string { return reconcile.Sentence(s.steps[0].String()) }

// tell records as events what people want to see happen.
func (r *Reconciler) tell(s *scope) {
	for _, what := range s.told {
		r.Recorder.Eventf(s.hcp, nil, corev1.EventTypeNormal, "Step", "Reconcile", "%s", reconcile.Sentence(what))
	}
	now := conditions.Get(s.hcp, controlplanev1.ConditionAvailable)
	reconcile.Announce(r.Recorder, s.hcp, s.before, now, ReasonSpecInvalid, ReasonKeysInvalid, ReasonNotAnswering)
}
