// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/cluster-api/util/conditions"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// findings mirror what the hub's merges have found. They say nothing of whether the control plane works.
func findings(s *scope) []metav1.Condition {
	return []metav1.Condition{
		ofHub(s, controlplanev1.ConditionConflictFree, heavenv1.MergeConflictFree),
		ofHub(s, controlplanev1.ConditionQuarantineEmpty, heavenv1.MergeQuarantineEmpty),
		ofHub(s, controlplanev1.ConditionForgeInStep, heavenv1.MergeForgeInStep),
	}
}

// tellFindings records in one Event each what has been put on record, or in quarantine, since the last reconcile. The
// AutomatedMerge's own Events tell of them one by one.
func (r *Reconciler) tellFindings(s *scope) {
	now := s.hcp.Status.MergeFindings
	for _, f := range []struct {
		before, after             *int64
		condition, reason, action string
	}{
		{s.known.Conflicts.Recorded, now.Conflicts.Recorded, controlplanev1.ConditionConflictFree, "ConflictRecorded", "Merge"},
		{s.known.Quarantine.Recorded, now.Quarantine.Recorded, controlplanev1.ConditionQuarantineEmpty, "ChangeQuarantined", "Gate"},
	} {
		count := ptr.Deref(f.after, 0) - ptr.Deref(f.before, 0)
		c := conditions.Get(s.hcp, f.condition)
		if count > 0 && c != nil && c.Message != "" {
			r.Recorder.Eventf(s.hcp, s.have.Merge, corev1.EventTypeWarning, f.reason, f.action, "%d new: %s", count, c.Message)
		}
	}
}
