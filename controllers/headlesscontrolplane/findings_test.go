// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/cluster-api/util/conditions"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/hosttest"
)

// warnings are the Events about findings that were recorded since they were last asked for.
func (h *host) warnings() []string {
	h.t.Helper()
	return hosttest.Warnings(h.t, h.r.Recorder, "ConflictRecorded", "ChangeQuarantined")
}

// TestFindingsAreShown mirrors what the hub has found, and tells of what is new in one Event each.
func TestFindingsAreShown(t *testing.T) {
	h := newHost(t, nil)
	h.available()
	h.Expect(h.condition(controlplanev1.ConditionConflictFree).Status).To(Equal(metav1.ConditionUnknown), "the hub has not said")

	merge := &heavenv1.AutomatedMerge{}
	h.Expect(h.exists("blue", merge)).To(BeTrue())
	oldest := metav1.NewTime(time.Now().Add(-time.Hour)).Rfc3339Copy()
	merge.Status.MergeFindings = heavenv1.MergeFindings{
		Conflicts:  heavenv1.ConflictCount{Open: new(int64(2)), Recorded: new(int64(3))},
		Quarantine: heavenv1.QuarantineCount{Waiting: new(int64(0)), Recorded: new(int64(0))},
		Forge:      heavenv1.ForgeStatus{URL: "https://forge", OldestUnmirrored: oldest},
	}
	conditions.Set(merge, metav1.Condition{Type: heavenv1.MergeConflictFree, Status: metav1.ConditionFalse, Reason: "ConflictsRecorded", Message: "2 conflicts wait"})
	conditions.Set(merge, metav1.Condition{Type: heavenv1.MergeQuarantineEmpty, Status: metav1.ConditionTrue, Reason: "NothingWaits"})
	conditions.Set(merge, metav1.Condition{Type: heavenv1.MergeForgeInStep, Status: metav1.ConditionFalse, Reason: "Behind", Message: "an hour"})
	h.Expect(h.client.Status().Update(t.Context(), merge)).To(Succeed())
	h.settle()
	h.Expect(h.condition(controlplanev1.ConditionConflictFree)).To(And(HaveField("Reason", "ConflictsRecorded"), HaveField("Message", "2 conflicts wait")))
	h.Expect(h.condition(controlplanev1.ConditionQuarantineEmpty).Status).To(Equal(metav1.ConditionTrue))
	h.Expect(h.condition(controlplanev1.ConditionForgeInStep)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Message", "an hour")))
	h.Expect(h.condition(controlplanev1.ConditionAvailable).Status).To(Equal(metav1.ConditionTrue), "the control plane works all the same")
	status := h.hcp().Status
	h.Expect(*status.Conflicts.Open).To(BeEquivalentTo(2))
	h.Expect(status.Forge.OldestUnmirrored.Time).To(BeTemporally("==", oldest.Time))
	h.Expect(h.warnings()).To(ConsistOf("Warning ConflictRecorded 3 new: 2 conflicts wait"))
	h.settle()
	h.Expect(h.warnings()).To(BeEmpty())
}
