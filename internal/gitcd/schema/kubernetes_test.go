// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	smd "sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/schema"
)

// TestKubernetes shows what is known of some fields that matter.
func TestKubernetes(t *testing.T) {
	list := func(keys ...string) schema.Field {
		return schema.Field{Shape: schema.KeyedList, Keys: keys, Ordered: true}
	}
	units := func(keys ...string) schema.Field {
		f := list(keys...)
		f.Unit = true
		return f
	}
	ports := func(keys ...string) schema.Field {
		f := list(keys...)
		f.Defaults, f.Limits = map[string]string{"protocol": `"TCP"`}, &schema.Limits{Unique: "name"}
		return f
	}
	set, atomic := schema.Field{Shape: schema.Set, Ordered: true}, schema.Field{Shape: schema.Atomic}
	for _, c := range []struct {
		typ, path string
		want      schema.Field
	}{
		{"v1 Pod", "spec/containers", list("name")},
		{"v1 Pod", "spec/initContainers", list("name")},
		{"v1 Pod", "spec/ephemeralContainers", list("name")},
		{"v1 Pod", "spec/containers/[]/ports", ports("containerPort", "protocol")},
		{"v1 Pod", "spec/containers/[]/env", list("name")},
		{"v1 Pod", "spec/containers/[]/env/[]", schema.Field{Limits: &schema.Limits{OneOf: [][]string{{"value", "valueFrom"}}}}},
		{"v1 Pod", "spec/containers/[]/env/[]/valueFrom/secretKeyRef", atomic},
		{"v1 Pod", "spec/containers/[]/envFrom", schema.Field{}},
		{"v1 Pod", "spec/containers/[]/args", schema.Field{}},
		{"v1 Pod", "spec/containers/[]/volumeMounts", list("mountPath")},
		{"v1 Pod", "spec/containers/[]/volumeDevices", list("devicePath")},
		{"v1 Pod", "spec/containers/[]/resources/claims", list("name")},
		{"v1 Pod", "spec/containers/[]/resources/limits", schema.Field{}},
		{"v1 Pod", "spec/volumes", list("name")},
		{"v1 Pod", "spec/tolerations", schema.Field{}},
		{"v1 Pod", "spec/topologySpreadConstraints", list("topologyKey", "whenUnsatisfiable")},
		{"v1 Pod", "spec/hostAliases", list("ip")},
		{"v1 Pod", "spec/imagePullSecrets", units("name")},
		{"v1 Pod", "spec/schedulingGates", list("name")},
		{"v1 Pod", "spec/nodeSelector", atomic},
		{"v1 Pod", "spec/securityContext/seccompProfile", atomic},
		{"v1 Pod", "status/podIPs", list("ip")},
		{"v1 Pod", "status/containerStatuses", schema.Field{}},
		{"apps/v1 Deployment", "spec/template/spec/containers", list("name")},
		{"apps/v1 Deployment", "spec/template/metadata/finalizers", set},
		{"apps/v1 Deployment", "spec/strategy", atomic},
		{"batch/v1 CronJob", "spec/jobTemplate/spec/template/spec/containers", list("name")},
		{"v1 Service", "spec/ports", ports("port", "protocol")},
		{"v1 Service", "spec/clusterIPs", schema.Field{}},
		{"v1 Service", "spec/selector", atomic},
		{"v1 ServiceAccount", "secrets", units("name")},
		{"v1 Node", "status/addresses", list("type")},
		{"v1 Node", "spec/podCIDRs", set},
		{"v1 Node", "spec/taints", schema.Field{
			Shape: schema.KeyedList, Keys: []string{"key", "effect"}, Required: []string{"key", "effect"}, Unit: true,
		}},
		{"storage.k8s.io/v1 CSINode", "spec/drivers", list("name")},
		{"resource.k8s.io/v1 ResourceClaim", "status/devices", list("driver", "device", "pool", "shareID")},
		{"admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration", "webhooks", list("name")},
		{"example.org/v1 Pod", "spec/containers", schema.Field{}},
	} {
		apiVersion, kind, _ := strings.Cut(c.typ, " ")
		got := schema.Default{}.Lookup(schema.Type{APIVersion: apiVersion, Kind: kind}, strings.Split(c.path, "/"))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s %s: %s", c.typ, c.path, diff)
		}
	}
}

// ruled are the names of fields about which the rules for all kinds have their
// own word, as they have about a Lease's spec and a Namespace's finalizers.
var ruled = []string{"conditions", "selector", "nodeSelector", "claimRef", "roleRef"}

// oneStatement are the fields that are one value though they are not published as one.
var oneStatement = []string{"strategy", "updateStrategy"}

// TestTableIsWhatWasPublished walks the published schemas of all kinds, and asks about each field.
func TestTableIsWhatWasPublished(t *testing.T) {
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	w := walker{t: t}
	kinds := 0
	for gvk := range scheme.Scheme.AllKnownTypes() {
		if applyconfigurations.ForKind(gvk) == nil || gvk.Kind == "Scale" {
			continue
		}
		object, err := scheme.Scheme.New(gvk)
		if err != nil {
			t.Fatal(err)
		}
		object.GetObjectKind().SetGroupVersionKind(gvk)
		value, err := converter.ObjectToTyped(object)
		if err != nil {
			continue // a part of something, which is no object
		}
		kinds++
		w.published = value.Schema()
		w.typ = schema.Type{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind}
		atom, _ := w.published.Resolve(value.TypeRef())
		top := atom.Map
		for _, f := range top.Fields {
			if f.Name != "metadata" {
				w.walk(f.Type, schema.Path{f.Name})
			}
		}
	}
	if kinds < 100 || w.fields < 10_000 || w.lists < 500 {
		t.Errorf("walked %d kinds, %d fields, %d lists: that cannot be all", kinds, w.fields, w.lists)
	}
}

type walker struct {
	t             *testing.T
	published     *smd.Schema
	typ           schema.Type
	fields, lists int
}

func (w *walker) walk(ref smd.TypeRef, p schema.Path) {
	atom, ok := w.published.Resolve(ref)
	name := p[len(p)-1]
	lease := w.typ.Kind == "Lease" && len(p) == 1
	namespace := w.typ.Kind == "Namespace" && name == "finalizers"
	taints := w.typ.Kind == "Node" && name == "taints"
	if !ok || lease || namespace || taints || slices.Contains(ruled, name) {
		return
	}
	w.fields++
	got := schema.Default{}.Lookup(w.typ, p)
	expect := func(fits bool, what string) {
		if !fits {
			w.t.Errorf("%s %s is %s, published as %s", w.typ, strings.Join(p, "."), got.Shape, what)
		}
	}
	loose := got.Shape == schema.Unknown || got.Shape == schema.Map
	list, fields := atom.List, atom.Map
	switch {
	case atom.Scalar != nil:
		expect(got.Shape == schema.Unknown, "scalar")
	case list != nil && list.ElementRelationship == smd.Associative && len(list.Keys) == 0:
		expect(got.Shape == schema.Set, "set")
	case list != nil && list.ElementRelationship == smd.Associative:
		w.lists++
		resolved, _ := w.published.Resolve(list.ElementType)
		item := resolved.Map
		expect(got.Shape == schema.KeyedList && slices.Equal(got.Keys, list.Keys), fmt.Sprint("list by ", list.Keys))
		for _, key := range list.Keys {
			f, _ := item.FindField(key)
			if f.Default != nil && f.Default != "" && f.Default != 0 {
				expect(got.Defaults[key] == fmt.Sprintf("%q", f.Default), fmt.Sprint("default ", f.Default))
			}
		}
		whole := item.ElementRelationship == smd.Atomic
		expect(got.Unit == whole, "list of units")
		if !whole {
			w.walk(list.ElementType, append(slices.Clip(p), schema.Item))
		}
	case list != nil:
		expect(got.Shape == schema.Unknown, "atomic list")
	case fields != nil && (fields.ElementRelationship == smd.Atomic || slices.ContainsFunc(fields.Unions, func(u smd.Union) bool { return u.Discriminator != nil })):
		expect(got.Shape == schema.Atomic, "atomic")
	case fields != nil && slices.Contains(oneStatement, name):
		expect(got.Shape == schema.Atomic, "one statement")
	case fields != nil:
		expect(loose, "map")
		for _, f := range fields.Fields {
			w.walk(f.Type, append(slices.Clip(p), f.Name))
		}
		if len(fields.Fields) == 0 {
			w.walk(fields.ElementType, append(slices.Clip(p), "any"))
		}
	}
}
