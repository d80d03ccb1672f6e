// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedmachine

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"

	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// owned are the conditions that judge writes.
var owned = []string{infrav1.MachineReady, infrav1.MachineBootstrapDataReady, infrav1.MachineProvisioned, infrav1.MachineDeleting}

// Reasons of the conditions.
const (
	ReasonReleased                 = "Released"
	ReasonKindMissing              = "NoKindOfMachine"
	ReasonWaitingForInfrastructure = clusterv1.WaitingForClusterInfrastructureReadyReason
	ReasonWaitingForBootstrapData  = clusterv1.WaitingForBootstrapDataReason
	ReasonWaitingForMachine        = "WaitingForMachine"
	ReasonJoined                   = "Joined"
	ReasonBootstrapDataReady       = "BootstrapDataReady"
	ReasonDeleting                 = clusterv1.DeletingReason
	ReasonNotDeleting              = clusterv1.NotDeletingReason
)

type verdict struct {
	when func(*scope) bool
	// data and machine are the verdicts BootstrapDataReady and MachineProvisioned; Ready follows machine.
	data, machine metav1.ConditionStatus
	reason        string
	message       func(*scope) string
}

const (
	yes     = metav1.ConditionTrue
	no      = metav1.ConditionFalse
	unknown = metav1.ConditionUnknown
)

// Table of states. The first row that matches is the verdict.
//
//	deleting | kind set | cluster's infra | user data | node | BootstrapDataReady | MachineProvisioned | Reason
//	yes      | -        | -               | -         | -    | Unknown            | False              | Released
//	no       | no       | -               | -         | -    | Unknown            | False              | NoKindOfMachine
//	no       | yes      | -               | -         | yes  | True               | True               | Joined
//	no       | yes      | no              | -         | no   | Unknown            | False              | WaitingForClusterInfrastructureReady
//	no       | yes      | yes             | no        | no   | False              | False              | WaitingForBootstrapData
//	no       | yes      | yes             | yes       | no   | True               | False              | WaitingForMachine
var verdicts = []verdict{
	{deleting, unknown, no, ReasonReleased, say("The machine is given back: power it off and wipe it")},
	{func(s *scope) bool { return s.infra.Spec.External == nil }, unknown, no, ReasonKindMissing, say("The spec names no kind of machine: set spec.external")},
	{func(s *scope) bool { return s.machine.Status.NodeRef.IsDefined() }, yes, yes, ReasonJoined, func(s *scope) string {
		return fmt.Sprintf("The machine is Node %s", s.machine.Status.NodeRef.Name)
	}},
	{func(s *scope) bool { return !infrastructureProvisioned(s) }, unknown, no, ReasonWaitingForInfrastructure, say("Waiting for the Cluster's infrastructure")},
	{func(s *scope) bool { return userData(s) == "" }, no, no, ReasonWaitingForBootstrapData, say("Waiting for the Machine's bootstrap data")},
	{func(*scope) bool { return true }, yes, no, ReasonWaitingForMachine, func(s *scope) string {
		return "Waiting for a machine: " + invitation(s)
	}},
}

var say = reconcile.Say[*scope]

func deleting(s *scope) bool { return !s.infra.DeletionTimestamp.IsZero() }

// judge is the only writer of the conditions.
func judge(s *scope) {
	for _, v := range verdicts {
		if !v.when(s) {
			continue
		}
		message := v.message(s)
		data := metav1.Condition{Type: infrav1.MachineBootstrapDataReady, Status: v.data, Reason: v.reason, Message: message}
		if v.data == yes {
			data.Reason, data.Message = ReasonBootstrapDataReady, ""
		}
		conditions.Set(s.infra, data)
		conditions.Set(s.infra, metav1.Condition{Type: infrav1.MachineProvisioned, Status: v.machine, Reason: v.reason, Message: message})
		conditions.Set(s.infra, metav1.Condition{Type: infrav1.MachineReady, Status: v.machine, Reason: v.reason, Message: message})
		break
	}
	gone := metav1.Condition{Type: infrav1.MachineDeleting, Status: no, Reason: ReasonNotDeleting}
	if deleting(s) {
		gone.Status, gone.Reason = yes, ReasonDeleting
	}
	conditions.Set(s.infra, gone)
}
