// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedcluster

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/reconcile"
)

// owned are the conditions that judge writes.
var owned = []string{infrav1.ClusterReady, infrav1.ClusterRepositoryReady, infrav1.ClusterDeleting}

// Reasons of the conditions.
const (
	ReasonProvisioned         = "Provisioned"
	ReasonDeleting            = clusterv1.DeletingReason
	ReasonNotDeleting         = clusterv1.NotDeletingReason
	ReasonRepositoryCreating  = "RepositoryCreating"
	ReasonRepositoryNotOurs   = "RepositoryOfAnotherCluster"
	ReasonRepositoryNotReady  = "RepositoryNotReady"
	ReasonRepositoryReady     = "RepositoryReady"
	ReasonRepositoryDeleting  = "RepositoryDeleting"
	ReasonRepositoryDeleted   = "RepositoryDeleted"
	ReasonRepositoryUnhandled = "NotObserved"
)

// table is a table of states of what one reconcile has seen.
type table = reconcile.Table[*scope]

// Table of states of RepositoryReady; Ready follows it. The first row that matches is the verdict.
//
//	deleting | repository | of this cluster | its Ready       | Status  | Reason
//	yes      | there      | -               | -               | False   | RepositoryDeleting
//	yes      | gone       | -               | -               | False   | RepositoryDeleted
//	no       | gone       | -               | -               | Unknown | NotObserved
//	no       | there      | no              | -               | False   | RepositoryOfAnotherCluster
//	no       | there      | yes             | absent, Unknown | Unknown | RepositoryCreating
//	no       | there      | yes             | False           | False   | RepositoryNotReady
//	no       | there      | yes             | True            | True    | RepositoryReady
var verdicts = table{
	reconcile.If(func(s *scope) bool { return deleting(s) && s.repository != nil }, metav1.ConditionFalse, ReasonRepositoryDeleting, func(s *scope) string {
		return fmt.Sprintf("GitRepository %s is being deleted", s.repository.Name)
	}),
	reconcile.If(deleting, metav1.ConditionFalse, ReasonRepositoryDeleted, say("The repository is deleted")),
	reconcile.If(func(s *scope) bool { return s.repository == nil }, metav1.ConditionUnknown, ReasonRepositoryUnhandled, say("The repository could not be read")),
	reconcile.If(func(s *scope) bool { return s.foreign }, metav1.ConditionFalse, ReasonRepositoryNotOurs, func(s *scope) string {
		return fmt.Sprintf("GitRepository %s keeps the history of Cluster %s: rename this Cluster, or delete that GitRepository", s.repository.Name, s.repository.Spec.ClusterName)
	}),
	reconcile.If(func(s *scope) bool { return ready(s) == metav1.ConditionUnknown }, metav1.ConditionUnknown, ReasonRepositoryCreating, func(s *scope) string {
		return fmt.Sprintf("GitRepository %s is being made", s.repository.Name)
	}),
	reconcile.If(func(s *scope) bool { return ready(s) == metav1.ConditionFalse }, metav1.ConditionFalse, ReasonRepositoryNotReady, said),
	reconcile.Else(metav1.ConditionTrue, ReasonRepositoryReady, said),
}

var say = reconcile.Say[*scope]

func deleting(s *scope) bool { return !s.infra.DeletionTimestamp.IsZero() }

func ready(s *scope) metav1.ConditionStatus {
	if c := conditions.Get(s.repository, heavenv1.RepositoryReady); c != nil {
		return c.Status
	}
	return metav1.ConditionUnknown
}

// said is what the repository says of itself.
func said(s *scope) string {
	return fmt.Sprintf("GitRepository %s: %s", s.repository.Name, conditions.Get(s.repository, heavenv1.RepositoryReady).Message)
}

// judge is the only writer of the conditions.
func judge(s *scope) {
	repository := verdicts.Decide(infrav1.ClusterRepositoryReady, s)
	conditions.Set(s.infra, repository)
	sum := repository
	sum.Type = infrav1.ClusterReady
	if sum.Status == metav1.ConditionTrue {
		sum.Reason = ReasonProvisioned
	}
	conditions.Set(s.infra, sum)
	gone := metav1.Condition{Type: infrav1.ClusterDeleting, Status: metav1.ConditionFalse, Reason: ReasonNotDeleting}
	if deleting(s) {
		gone.Status, gone.Reason, gone.Message = metav1.ConditionTrue, ReasonDeleting, repository.Message
	}
	conditions.Set(s.infra, gone)
}
