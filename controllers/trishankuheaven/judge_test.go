// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package trishankuheaven

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-api/util/conditions"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// The rows are those of the tables in judge.go.
func TestVerdicts(t *testing.T) {
	const (
		yes     = metav1.ConditionTrue
		no      = metav1.ConditionFalse
		unknown = metav1.ConditionUnknown
	)
	broken := errors.New("broken")
	dying := func(s *scope) {
		now := metav1.Now()
		s.heaven.DeletionTimestamp = &now
	}
	seen := func(stage heaven.Stage, settled bool) func(*scope) {
		return func(s *scope) { s.seen = &heaven.Observation{Stage: stage, Message: "m", Settled: settled} }
	}
	hub := func(available metav1.ConditionStatus, branches ...heavenv1.BranchStatus) func(*scope) {
		return func(s *scope) {
			s.merge = &heavenv1.AutomatedMerge{Status: heavenv1.AutomatedMergeStatus{
				Conditions: []metav1.Condition{{Type: heavenv1.MergeAvailable, Status: available}}, Branches: branches,
			}}
		}
	}
	missing := func(s *scope) { s.missing = []string{"a"} }
	bad := func(s *scope) { s.certificatesFailure = broken }
	spec := func(s *scope) { s.specFailure = broken }
	failure := func(s *scope) { s.failure = broken }

	for condition, rows := range map[string][]struct {
		facts  []func(*scope)
		status metav1.ConditionStatus
		reason string
	}{
		heavenv1.HeavenAvailable: {
			{[]func(*scope){dying, seen(heaven.StageReady, true)}, no, "Deleting"},
			{nil, unknown, "NotObserved"},
			{[]func(*scope){failure}, unknown, "NotObserved"},
			{[]func(*scope){seen(heaven.StageUnobserved, false)}, unknown, "Unobserved"},
			{[]func(*scope){seen(heaven.StageReady, true)}, yes, "Available"},
			{[]func(*scope){seen(heaven.StageReady, false), failure, missing, bad, spec}, yes, "Available"},
			{[]func(*scope){seen(heaven.StageAbsent, false), failure}, unknown, "ReconcileFailed"},
			{[]func(*scope){seen(heaven.StageAbsent, false), missing}, no, "SecretsMissing"},
			{[]func(*scope){seen(heaven.StageAbsent, false), bad}, no, "CertificatesInvalid"},
			{[]func(*scope){seen(heaven.StageAbsent, false), spec}, no, "SpecInvalid"},
			{[]func(*scope){seen(heaven.StageAPIServer, false)}, no, "APIServerStarting"},
		},
		heavenv1.HeavenProgressing: {
			{[]func(*scope){dying}, no, "Deleting"},
			{[]func(*scope){failure, seen(heaven.StageReady, true)}, unknown, "ReconcileFailed"},
			{[]func(*scope){missing, seen(heaven.StageReady, true)}, no, "SecretsMissing"},
			{[]func(*scope){bad, seen(heaven.StageReady, true)}, no, "CertificatesInvalid"},
			{[]func(*scope){spec, seen(heaven.StageReady, true)}, no, "SpecInvalid"},
			{nil, unknown, "NotObserved"},
			{[]func(*scope){seen(heaven.StageReady, true)}, no, "Settled"},
			{[]func(*scope){seen(heaven.StageReady, false)}, yes, "Rolling"},
			{[]func(*scope){seen(heaven.StageStore, false)}, yes, "Rolling"},
		},
		heavenv1.HeavenCertificatesReady: {
			{[]func(*scope){missing}, no, "SecretsMissing"},
			{[]func(*scope){bad}, no, "CertificatesInvalid"},
			{nil, unknown, "NotObserved"},
			{[]func(*scope){func(s *scope) { s.certificates = &pki.Bundle{} }}, yes, "CertificatesValid"},
		},
		heavenv1.HeavenSynced: {
			{nil, unknown, "HubNotFound"},
			{[]func(*scope){hub(no, heavenv1.BranchStatus{Name: "heavens/x", Merged: new(true)})}, unknown, "HubUnavailable"},
			{[]func(*scope){hub(yes, heavenv1.BranchStatus{Name: "heavens/y", Merged: new(true)})}, no, "NotPushed"},
			{[]func(*scope){hub(yes, heavenv1.BranchStatus{Name: "heavens/x"})}, yes, "Synced"},
			{[]func(*scope){hub(yes, heavenv1.BranchStatus{Name: "heavens/x", Merged: new(false)})}, no, "NotMerged"},
			{[]func(*scope){hub(yes, heavenv1.BranchStatus{Name: "heavens/x", Merged: new(true)})}, yes, "Synced"},
		},
		heavenv1.HeavenDeleting: {
			{nil, no, "NotDeleting"},
			{[]func(*scope){dying, func(s *scope) { s.remaining = "pod p" }}, yes, "Deleting"},
			{[]func(*scope){dying}, yes, "Deleting"},
		},
	} {
		for _, row := range rows {
			s := &scope{heaven: &heavenv1.TrishankuHeaven{Spec: heavenv1.TrishankuHeavenSpec{Branch: "heavens/x", ClusterName: "blue"}}}
			for _, fact := range row.facts {
				fact(s)
			}
			judge(s)
			got := conditions.Get(s.heaven, condition)
			g := NewWithT(t)
			g.Expect(got.Status).To(Equal(row.status), "%s %s", condition, row.reason)
			g.Expect(got.Reason).To(Equal(row.reason), condition)
		}
	}
}
