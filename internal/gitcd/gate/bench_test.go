// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate_test

import (
	"maps"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
)

// BenchmarkJudge judges what comes most often, in a cluster of 5,000 pods.
func BenchmarkJudge(b *testing.B) {
	values := cluster()
	maps.Copy(values, podsOf(5000))
	w := newWorld(b, gate.Defaults(frontDoor), values)
	for _, c := range []struct{ name, branch, key, value string }{
		{"lease of a node", "nodes/w1", "/registry/leases/kube-node-lease/w1", `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"w1","namespace":"kube-node-lease"}}`},
		{"status of a pod", "nodes/w1", podKey, podJSON("w1", "operator", "Running", "")},
		{"binding", scheduler, "/registry/pods/default/unbound", podJSON("w1", "admin", "Pending", "")},
		{"update by an account of a pod", "nodes/w1", "/registry/configmaps/default/x", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","namespace":"default","uid":"ux"},"data":{"a":"2"}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := gate.Asked{Branch: c.branch, Main: w.main, Now: w.now, Changes: []gate.Change{{Key: c.key, Old: w.blob(w.values[c.key]), New: w.blob(c.value)}}}
			for b.Loop() {
				if v, err := w.judge.Judge(b.Context(), a); err != nil || len(v.Refusals) > 0 {
					b.Fatal(v, err)
				}
			}
		})
	}
}
