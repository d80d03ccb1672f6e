// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlessconfig

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"

	bootstrapv1 "github.com/trishanku-org/cluster-api-provider-headless/api/bootstrap/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// owned are the conditions that judge writes.
var owned = []string{bootstrapv1.ConditionReady, bootstrapv1.ConditionDataSecretAvailable, bootstrapv1.ConditionDeleting}

// Reasons of the conditions.
const (
	ReasonDataSecretAvailable      = "DataSecretAvailable"
	ReasonDataSecretNotOurs        = "DataSecretOfAnother"
	ReasonOwnerNotSupported        = "OwnerNotSupported"
	ReasonWaitingForOwner          = "WaitingForOwner"
	ReasonWaitingForInfrastructure = clusterv1.WaitingForClusterInfrastructureReadyReason
	ReasonWaitingForControlPlane   = clusterv1.WaitingForControlPlaneInitializedReason
	ReasonWaitingForHub            = "WaitingForHub"
	ReasonImpossible               = "Impossible"
	ReasonWaitingFor               = "WaitingForParts"
	ReasonNotWritten               = "NotWritten"
)

// table is a table of states of what one reconcile has seen.
type table = reconcile.Table[*scope]

// Table of states of DataSecretAvailable; Ready follows it. The first row that matches is the verdict.
//
//	data Secret | owner       | Cluster's infra | control plane | hub's address | parts   | Status | Reason
//	ours        | -           | -               | -             | -             | -       | True   | DataSecretAvailable
//	another's   | -           | -               | -             | -             | -       | False  | DataSecretOfAnother
//	none        | MachinePool | -               | -             | -             | -       | False  | OwnerNotSupported
//	none        | none        | -               | -             | -             | -       | False  | WaitingForOwner
//	none        | Machine     | no              | -             | -             | -       | False  | WaitingForClusterInfrastructureReady
//	none        | Machine     | yes             | no            | -             | -       | False  | WaitingForControlPlaneInitialized
//	none        | Machine     | yes             | yes           | no            | -       | False  | WaitingForHub
//	none        | Machine     | yes             | yes           | yes           | refused | False  | Impossible
//	none        | Machine     | yes             | yes           | yes           | missing | False  | WaitingForParts
//	none        | Machine     | yes             | yes           | yes           | there   | False  | NotWritten
var verdicts = table{
	reconcile.If(done, metav1.ConditionTrue, ReasonDataSecretAvailable, func(s *scope) string {
		return fmt.Sprintf("The user data is in Secret %s", s.data.Name)
	}),
	reconcile.If(func(s *scope) bool { return s.foreign }, metav1.ConditionFalse, ReasonDataSecretNotOurs, func(s *scope) string {
		return fmt.Sprintf("Secret %s exists and is not this config's: delete it, or rename the config", s.config.Name)
	}),
	reconcile.If(
		func(s *scope) bool { return s.ownerKind == "MachinePool" }, metav1.ConditionFalse, ReasonOwnerNotSupported,
		say("The owner is a MachinePool: this version makes nodes of Machines only, since each has its own branch; use a MachineDeployment"),
	),
	reconcile.If(func(s *scope) bool { return s.machine == nil || s.cluster == nil }, metav1.ConditionFalse, ReasonWaitingForOwner, say("Waiting for a Machine of a Cluster as owner")),
	reconcile.If(
		func(s *scope) bool { return !isTrue(s.cluster.Status.Initialization.InfrastructureProvisioned) }, metav1.ConditionFalse, ReasonWaitingForInfrastructure,
		say("Waiting for the Cluster's infrastructure"),
	),
	reconcile.If(
		func(s *scope) bool { return !isTrue(s.cluster.Status.Initialization.ControlPlaneInitialized) }, metav1.ConditionFalse, ReasonWaitingForControlPlane,
		say("Waiting for the control plane: a node clones what it has made"),
	),
	reconcile.If(func(s *scope) bool { return s.hub == nil }, metav1.ConditionFalse, ReasonWaitingForHub, func(s *scope) string {
		return fmt.Sprintf("Waiting for an address of the hub outside the host cluster, in AutomatedMerge %s, status.endpoint.external", s.cluster.Name)
	}),
	reconcile.If(func(s *scope) bool { return s.refused != "" }, metav1.ConditionFalse, ReasonImpossible, func(s *scope) string { return s.refused }),
	reconcile.If(func(s *scope) bool { return s.missing != "" }, metav1.ConditionFalse, ReasonWaitingFor, func(s *scope) string { return "Waiting for " + s.missing }),
	reconcile.Else(metav1.ConditionFalse, ReasonNotWritten, say("The user data could not be written; it is tried again")),
}

var say = reconcile.Say[*scope]

func isTrue(b *bool) bool { return b != nil && *b }

// done says whether the user data was written.
func done(s *scope) bool { return s.data != nil }

// begins says whether everything that is waited for is there, so that only parts can be missing.
func begins(s *scope) bool {
	return verdicts.Decide(bootstrapv1.ConditionDataSecretAvailable, s).Reason == ReasonNotWritten
}

// judge is the only writer of the conditions.
func judge(s *scope) {
	c := verdicts.Decide(bootstrapv1.ConditionDataSecretAvailable, s)
	conditions.Set(s.config, c)
	c.Type = bootstrapv1.ConditionReady
	conditions.Set(s.config, c)
	conditions.Set(s.config, metav1.Condition{Type: bootstrapv1.ConditionDeleting, Status: metav1.ConditionFalse, Reason: clusterv1.NotDeletingReason})
}
