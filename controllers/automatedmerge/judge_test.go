// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-api/util/conditions"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
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
		s.merge.DeletionTimestamp = &now
	}
	seen := func(stage heaven.Stage) func(*scope) {
		return func(s *scope) { s.seen = &heaven.Observation{Stage: stage, Message: "m"} }
	}
	secret := func(s *scope) { s.authority = &corev1.Secret{} }
	hub := func(status HubStatus) func(*scope) { return func(s *scope) { s.hub = &status } }
	now := time.Now()
	lately, late := now.Add(-time.Minute), now.Add(-time.Hour)
	forge := func(f HubForge) func(*scope) { return hub(HubStatus{Forge: &f}) }
	silent := func(s *scope) { s.hubFailure = broken }
	bad := func(s *scope) { s.certificatesFailure = broken }
	spec := func(s *scope) { s.specFailure = broken }
	failure := func(s *scope) { s.failure = broken }
	before := func(main string, conflicts int64) func(*scope) {
		return func(s *scope) {
			s.merge.Status.MainHead = main
			s.merge.Status.Conflicts = heavenv1.ConflictCount{Open: &conflicts, Recorded: &conflicts}
		}
	}

	for condition, rows := range map[string][]struct {
		facts  []func(*scope)
		status metav1.ConditionStatus
		reason string
	}{
		heavenv1.MergeAvailable: {
			{[]func(*scope){dying, seen(heaven.StageReady)}, no, "Deleting"},
			{nil, unknown, "NotObserved"},
			{[]func(*scope){seen(heaven.StageUnobserved)}, unknown, "Unobserved"},
			{[]func(*scope){seen(heaven.StageReady), secret, hub(HubStatus{})}, yes, "Available"},
			{[]func(*scope){seen(heaven.StageReady), secret, hub(HubStatus{LastError: "e"})}, no, "MergesFailing"},
			{[]func(*scope){seen(heaven.StageReady), secret, silent}, no, "NotAnswering"},
			{[]func(*scope){seen(heaven.StageReady), failure}, unknown, "ReconcileFailed"},
			{[]func(*scope){seen(heaven.StageAbsent)}, no, "SecretMissing"},
			{[]func(*scope){seen(heaven.StageAbsent), secret, bad}, no, "CertificatesInvalid"},
			{[]func(*scope){seen(heaven.StageAbsent), secret, spec}, no, "SpecInvalid"},
			{[]func(*scope){seen(heaven.StageReady), secret}, unknown, "NotObserved"},
			{[]func(*scope){seen(heaven.StageUnscheduled), secret}, no, "Unscheduled"},
		},
		heavenv1.MergeEndpointReady: {
			{[]func(*scope){dying}, no, "Deleting"},
			{[]func(*scope){func(s *scope) { s.location.External.Host = "h" }}, yes, "EndpointKnown"},
			{[]func(*scope){func(s *scope) { s.location.Why = "w" }}, no, "EndpointPending"},
			{nil, unknown, "NotObserved"},
		},
		heavenv1.MergeMainReady: {
			{[]func(*scope){hub(HubStatus{Main: "2a"})}, yes, "MainExists"},
			{[]func(*scope){before("2a", 0), silent}, yes, "MainExists"},
			{[]func(*scope){hub(HubStatus{})}, no, "MainAbsent"},
			{[]func(*scope){silent}, unknown, "NotObserved"},
		},
		heavenv1.MergeConflictFree: {
			{[]func(*scope){silent}, unknown, "NotObserved"},
			{[]func(*scope){hub(HubStatus{Records: &HubRecords{}})}, yes, "ConflictFree"},
			{[]func(*scope){hub(HubStatus{Records: &HubRecords{Filed: 2}})}, yes, "ConflictsResolved"},
			{[]func(*scope){before("2a", 3), silent}, no, "ConflictsRecorded"},
			{[]func(*scope){hub(HubStatus{Records: &HubRecords{Filed: 2, Open: 1}})}, no, "ConflictsRecorded"},
		},
		heavenv1.MergeQuarantineEmpty: {
			{[]func(*scope){silent}, unknown, "NotObserved"},
			{[]func(*scope){hub(HubStatus{Quarantine: &HubQuarantine{Rejected: 1}})}, yes, "NothingWaits"},
			{[]func(*scope){hub(HubStatus{Quarantine: &HubQuarantine{Waiting: 1}})}, no, "ChangesWait"},
		},
		heavenv1.MergeForgeInStep: {
			{[]func(*scope){silent}, unknown, "NotObserved"},
			{[]func(*scope){hub(HubStatus{})}, yes, "NoForge"},
			{[]func(*scope){forge(HubForge{Kept: []string{"refs/heads/x"}, LastError: "e", OldestUnpushed: &late})}, no, "HistoryRewritten"},
			{[]func(*scope){forge(HubForge{LastError: "e", OldestUnpushed: &lately})}, no, "PushesFailing"},
			{[]func(*scope){forge(HubForge{LastError: "e", OldestUnpushed: &late, Connected: true})}, no, "PushesFailing"},
			{[]func(*scope){forge(HubForge{LastError: "e", OldestUnpushed: &lately, Connected: true})}, yes, "InStep"},
			{[]func(*scope){forge(HubForge{OldestUnpushed: &late})}, no, "Behind"},
			{[]func(*scope){forge(HubForge{OldestUnpushed: &lately})}, yes, "InStep"},
			{[]func(*scope){forge(HubForge{LastError: "e"})}, yes, "InStep"},
			{[]func(*scope){forge(HubForge{}), func(s *scope) {
				s.repository, s.forgeMissing = &heavenv1.GitRepository{}, "Secret x with secret, for the forge's webhooks"
			}}, no, "SecretMissing"},
		},
		heavenv1.MergeDeleting: {
			{nil, no, "NotDeleting"},
			{[]func(*scope){dying, func(s *scope) { s.remaining = "pod p" }}, yes, "Deleting"},
			{[]func(*scope){dying}, yes, "Deleting"},
		},
	} {
		for _, row := range rows {
			s := &scope{merge: &heavenv1.AutomatedMerge{}, now: now}
			for _, fact := range row.facts {
				fact(s)
			}
			judge(s)
			got := conditions.Get(s.merge, condition)
			g := NewWithT(t)
			g.Expect(got.Status).To(Equal(row.status), "%s %s", condition, row.reason)
			g.Expect(got.Reason).To(Equal(row.reason), condition)
		}
	}
}
