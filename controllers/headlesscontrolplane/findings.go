// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/cluster-api/util/conditions"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// news are the findings that no Event has told of.
type news struct {
	count                     int64
	condition, reason, action string
}

func newsOf(s *scope) []news {
	now := s.hcp.Status.MergeFindings
	return slices.DeleteFunc([]news{
		{ptr.Deref(now.Conflicts.Recorded, 0) - ptr.Deref(s.known.Conflicts.Recorded, 0), controlplanev1.ConditionConflictFree, "ConflictRecorded", "Merge"},
		{ptr.Deref(now.Quarantine.Recorded, 0) - ptr.Deref(s.known.Quarantine.Recorded, 0), controlplanev1.ConditionQuarantineEmpty, "ChangeQuarantined", "Gate"},
	}, func(n news) bool { return n.count <= 0 })
}

// recall reads past the cache what Events have told of, if there seems to be news: the cache may not have seen yet what
// the reconcile before this one wrote down.
func (r *Reconciler) recall(ctx context.Context, s *scope) {
	if r.live == nil || len(newsOf(s)) == 0 {
		return
	}
	stored := &controlplanev1.HeadlessControlPlane{}
	if err := r.live.Get(ctx, client.ObjectKeyFromObject(s.hcp), stored); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Cannot read what Events have told of, so one may come twice")
		return
	}
	s.known = stored.Status.MergeFindings
}

// tellFindings records in one Event each what has been put on record, or in quarantine, since the last reconcile. The
// AutomatedMerge's own Events tell of them one by one.
func (r *Reconciler) tellFindings(s *scope) {
	for _, n := range newsOf(s) {
		if c := conditions.Get(s.hcp, n.condition); c != nil && c.Message != "" {
			r.Recorder.Eventf(s.hcp, s.have.Merge, corev1.EventTypeWarning, n.reason, n.action, "%d new: %s", n.count, c.Message)
		}
	}
}
