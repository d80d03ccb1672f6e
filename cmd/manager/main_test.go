// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestFlagsNameTheMend(t *testing.T) {
	for _, c := range []struct {
		args, want string
	}{
		{"", "--providers is missing; write some of control-plane,bootstrap,infrastructure"},
		{"--providers=bootstrap,core", `--providers has "core"`},
		{"--providers=bootstrap --concurrency=0", "--concurrency is 0; write 1 or more"},
		{"--providers=bootstrap --webhook-port=99999", "--webhook-port is 99999"},
		{"--provider=bootstrap", "--help lists them"},
	} {
		t.Run(c.args, func(t *testing.T) {
			if err := run(t.Context(), strings.Fields(c.args)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v\nwant an error with %q", err, c.want)
			}
		})
	}
}

func TestSchemeKnowsAllKinds(t *testing.T) {
	t.Parallel()
	s, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	for kind, group := range map[string]string{
		"HeadlessControlPlane": "controlplane.cluster.x-k8s.io", "HeadlessConfigTemplate": "bootstrap.cluster.x-k8s.io",
		"GitBackedMachineList": "infrastructure.cluster.x-k8s.io", "TrishankuHeaven": "heaven.trishanku.org",
	} {
		if gvk := (schema.GroupVersionKind{Group: group, Version: "v1alpha1", Kind: kind}); !s.Recognizes(gvk) {
			t.Errorf("%s is unknown", gvk)
		}
	}
}

func TestCacheHoldsNoForeignSecretsAndNoKeys(t *testing.T) {
	t.Parallel()
	selector, err := labels.Parse("cluster.x-k8s.io/cluster-name")
	if err != nil {
		t.Fatal(err)
	}
	for object, by := range cacheOptions(defaults(), selector).ByObject {
		if by.Label == nil || by.Label.Matches(labels.Set{"app": "foreign"}) {
			t.Errorf("%T of strangers are cached", object)
		}
		if _, ok := object.(*corev1.Secret); !ok {
			continue
		}
		s := &corev1.Secret{Data: map[string][]byte{"tls.key": []byte("x")}}
		if _, err := by.Transform(s); err != nil || len(s.Data) > 0 {
			t.Errorf("keys of Secrets are cached (%v)", err)
		}
	}
	if !slices.ContainsFunc(clientOptions().Cache.DisableFor, func(o client.Object) bool {
		_, ok := o.(*corev1.Secret)
		return ok
	}) {
		t.Error("Secrets are read from the cache, which has no data")
	}
}
