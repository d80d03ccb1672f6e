// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"testing"
)

// TestLists has two heavens change lists of the same objects while one is cut
// off: items of a built-in kind merge as published, those of a custom resource
// as its definition says, which is in the same trees, and nobody meets a conflict.
func TestLists(t *testing.T) {
	const (
		deployment = "/registry/deployments/default/web"
		garden     = "/registry/example.org/gardens/default/x"
		meta       = `"metadata":{"name":"x","uid":"u1"}`
		pods       = `{"kind":"Deployment","apiVersion":"apps/v1",` + meta + `,"spec":{"template":{"spec":{"containers":[`
		beds       = `{"kind":"Garden","apiVersion":"example.org/v1",` + meta + `,"spec":{"beds":[`
	)
	h := startHub(t)
	a := newHeaven(t, h, "heavens/apiserver", "a").start(true)
	a.put("/registry/apiextensions.k8s.io/customresourcedefinitions/gardens.example.org",
		`{"kind":"CustomResourceDefinition","apiVersion":"apiextensions.k8s.io/v1","metadata":{"name":"gardens.example.org","uid":"u0"},"spec":{"group":"example.org",`+
			`"names":{"plural":"gardens","kind":"Garden"},"versions":[{"name":"v1","schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object",`+
			`"properties":{"beds":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],"items":{"type":"object"}}}}}}}}]}}`)
	a.put(deployment, pods+`{"name":"web","image":"web:1"}]}}}}`)
	a.put(garden, beds+`{"name":"a","size":1}]}}`)
	b := newHeaven(t, h, "heavens/scheduler", "b").start(false)
	settled(t, h, a, b)
	b.link.sever()
	a.put(deployment, pods+`{"name":"web","image":"web:2"}]}}}}`)
	a.put(garden, beds+`{"name":"a","size":2}]}}`)
	b.put(deployment, pods+`{"name":"web","image":"web:1"},{"name":"mesh","image":"mesh:1"}]}}}}`)
	b.put(garden, beds+`{"name":"a","size":1},{"name":"b","size":1}]}}`)
	b.link.mend()
	settled(t, h, a, b)
	for _, v := range []*heaven{a, b} {
		if got, want := v.get(deployment), pods+`{"name":"web","image":"web:2"},{"name":"mesh","image":"mesh:1"}]}}}}`; got != want {
			t.Errorf("the Deployment is %s", got)
		}
		if got, want := v.get(garden), beds+`{"name":"a","size":2},{"name":"b","size":1}]}}`; got != want {
			t.Errorf("the Garden is %s", got)
		}
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
	if met := b.exchange.Status().Conflicts + h.status().Conflicts; met > 0 {
		t.Errorf("%d conflicts", met)
	}
}
