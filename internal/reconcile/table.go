// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReasonNotObserved is the reason of a condition that no row of its table decides.
const ReasonNotObserved = "NotObserved"

// Table is a table of states of one condition, over scopes of type S.
type Table[S any] []Row[S]

// Row is a row of a table of states.
type Row[S any] struct {
	when    func(S) bool
	status  metav1.ConditionStatus
	reason  string
	message func(S) string
}

// If makes the row that decides when the facts are so.
func If[S any](when func(S) bool, status metav1.ConditionStatus, reason string, message func(S) string) Row[S] {
	return Row[S]{when: when, status: status, reason: reason, message: message}
}

// Else makes the row that decides when no row above it does.
func Else[S any](status metav1.ConditionStatus, reason string, message func(S) string) Row[S] {
	return If(func(S) bool { return true }, status, reason, message)
}

// Say makes the message of a row that says the same of all facts.
func Say[S any](text string) func(S) string { return func(S) string { return text } }

// Decide makes a condition of the facts.
func (t Table[S]) Decide(condition string, facts S) metav1.Condition {
	for _, row := range t {
		if row.when(facts) {
			return metav1.Condition{Type: condition, Status: row.status, Reason: row.reason, Message: row.message(facts)}
		}
	}
	return metav1.Condition{Type: condition, Status: metav1.ConditionUnknown, Reason: ReasonNotObserved}
}

// Sentence begins a text as a sentence, as messages of conditions and Events do. Errors do not.
func Sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
