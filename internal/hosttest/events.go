// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hosttest

import (
	"strings"
	"testing"

	"k8s.io/client-go/tools/events"
)

// Warnings are the Warnings of some reasons that were recorded since a fake recorder was last asked.
func Warnings(t *testing.T, r events.EventRecorder, reasons ...string) []string {
	t.Helper()
	recorder, ok := r.(*events.FakeRecorder)
	if !ok {
		t.Fatalf("%T is no fake recorder", r)
	}
	var out []string
	for {
		select {
		case e := <-recorder.Events:
			for _, reason := range reasons {
				if strings.HasPrefix(e, "Warning "+reason) {
					out = append(out, e)
				}
			}
		default:
			return out
		}
	}
}
