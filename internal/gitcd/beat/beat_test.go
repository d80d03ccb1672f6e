// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package beat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/beat"
)

const key = "/registry/leases/kube-node-lease/n1"

func lease(uid, holder, time string, more ...string) string {
	return fmt.Sprintf(`{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"n1","uid":%q,"managedFields":[{"manager":"kubelet","time":%q,`+
		`"fieldsV1":{"f:spec":{"f:renewTime":{}}}}]%s},"spec":{"holderIdentity":%q,"leaseDurationSeconds":40,"renewTime":%q}}`, uid, time, strings.Join(more, ""), holder, time)
}

const (
	early = "2026-11-22T10:00:00.000000Z"
	late  = "2026-11-22T10:00:10.000000Z"
)

func TestApply(t *testing.T) {
	b, ok := beat.Of(key, []byte(lease("u", "n1", late)))
	if !ok {
		t.Fatal("a lease has no beat")
	}
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"earlier", lease("u", "n1", early), true},
		{"the same time", lease("u", "n1", late), false},
		{"another lease of the name", lease("v", "n1", early), false},
		{"other hands", lease("u", "n2", early), false},
		{"a renewTime elsewhere, too", lease("u", "n1", early, `,"annotations":{"x":{"renewTime":"now"}}`), false},
		{"no lease", `{"kind":"Pod","metadata":{"uid":"u"},"spec":{"holderIdentity":"n1","renewTime":"` + early + `"}}`, false},
		{"another way to write it", strings.Replace(lease("u", "n1", early), `"renewTime":`, `"renewTime": `, 1), false},
		{"no JSON", "k8s:enc:x", false},
	} {
		next, ok := b.Apply([]byte(c.value))
		if ok != c.want {
			t.Errorf("%s: ok is %v", c.name, ok)
		}
		if ok && string(next) != strings.Replace(c.value, `"renewTime":"`+early, `"renewTime":"`+late, 1) {
			t.Errorf("%s: %s", c.name, next)
		}
	}
}

func TestClass(t *testing.T) {
	class := func(value string) string {
		text, ok := beat.Class([]byte(value))
		if !ok {
			t.Fatalf("%s has no class", value)
		}
		return text
	}
	was := class(lease("u", "n1", early))
	if class(lease("u", "n1", late)) != was {
		t.Error("a renewal is in another class")
	}
	for _, other := range []string{lease("v", "n1", late), lease("u", "n2", late), lease("u", "n1", late, `,"labels":{"a":"b"}`)} {
		if class(other) == was {
			t.Errorf("%s is taken for a renewal", other)
		}
	}
	for _, none := range []string{"", "x", `{"kind":"Pod"}`, strings.Replace(lease("u", "n1", "soon"), "soon", "later", 1)} {
		if _, ok := beat.Class([]byte(none)); ok {
			t.Errorf("%q is a lease", none)
		}
	}
}

// FuzzApply holds laws B1 and B2 for any value and any beat.
func FuzzApply(f *testing.F) {
	f.Add([]byte(lease("u", "n1", early)), "u", "n1", late)
	f.Add([]byte(`{"kind":"Lease"}`), "", "", "\"")
	f.Fuzz(func(t *testing.T, value []byte, uid, holder, time string) {
		b := beat.Beat{Key: key, UID: uid, Holder: holder, Time: time}
		next, ok := b.Apply(value)
		if !ok {
			return
		}
		was, _ := beat.Of(key, value)
		is, ok := beat.Of(key, next)
		if !ok || is != b || is.Time <= was.Time || len(next) != len(value) {
			t.Fatalf("%+v makes %s of %s", b, next, value)
		}
	})
}
