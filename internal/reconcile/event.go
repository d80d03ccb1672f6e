// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
)

// Announce records an Event of what a condition has come to say, if it said something else before. Those with a reason
// that alarms are Warnings.
func Announce(r events.EventRecorder, about runtime.Object, before, now *metav1.Condition, alarming ...string) {
	if before != nil && before.Status == now.Status && before.Reason == now.Reason {
		return
	}
	kind := corev1.EventTypeNormal
	if slices.Contains(alarming, now.Reason) {
		kind = corev1.EventTypeWarning
	}
	r.Eventf(about, nil, kind, now.Reason, "Observe", "%s", cmp.Or(now.Message, now.Reason))
}
