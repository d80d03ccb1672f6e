// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// oneStatement are types whose fields never come from two sides, though the
// published schema does not say so: their type field says which others may be there.
var oneStatement = []string{
	"apps.v1.DeploymentStrategy", "apps.v1beta1.DeploymentStrategy", "apps.v1beta2.DeploymentStrategy", "extensions.v1beta1.DeploymentStrategy",
	"apps.v1.DaemonSetUpdateStrategy", "apps.v1beta2.DaemonSetUpdateStrategy", "extensions.v1beta1.DaemonSetUpdateStrategy",
	"apps.v1.StatefulSetUpdateStrategy", "apps.v1beta1.StatefulSetUpdateStrategy", "apps.v1beta2.StatefulSetUpdateStrategy",
}

// union says that at most one of some fields of a type may be there. Schemas
// do not publish it, validation holds it.
type union struct {
	typ    string
	fields []string
}

var unions = []union{
	{"core.v1.Volume", namesOf(corev1.VolumeSource{})},
	{"core.v1.PersistentVolumeSpec", namesOf(corev1.PersistentVolumeSource{})},
	{"core.v1.EnvVar", []string{"value", "valueFrom"}},
	{"core.v1.EnvVarSource", namesOf(corev1.EnvVarSource{})},
	{"core.v1.Probe", namesOf(corev1.ProbeHandler{})},
	{"core.v1.LifecycleHandler", namesOf(corev1.LifecycleHandler{})},
	{"networking.v1.IngressBackend", []string{"resource", "service"}},
	{"storage.v1.VolumeAttachmentSource", []string{"inlineVolumeSpec", "persistentVolumeName"}},
	{"admissionregistration.v1.WebhookClientConfig", []string{"service", "url"}},
}

// uniques are fields of items that no two items of a list share, besides the keys.
var uniques = []struct{ typ, list, field string }{
	{"core.v1.ServiceSpec", "ports", "name"},
	{"core.v1.Container", "ports", "name"},
}

// namesOf returns the names that the fields of a struct have in JSON.
func namesOf(v any) []string {
	var out []string
	for f := range reflect.TypeOf(v).Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// addUnions adds what is known of types beyond their schemas. What is known
// of a type that is not there, or has not these fields, is out of date.
func (g *graph) addUnions() error {
	for _, u := range unions {
		n, ok := g.nodes[u.typ]
		if !ok {
			return fmt.Errorf("unions: no kind has the type %s", u.typ)
		}
		for _, name := range u.fields {
			if !slices.ContainsFunc(n.fields, func(f field) bool { return f.name == name }) {
				return fmt.Errorf("unions: %s has no field %q", u.typ, name)
			}
		}
		n.oneOf = append(n.oneOf, u.fields)
	}
	for _, u := range uniques {
		n, ok := g.nodes[u.typ]
		if !ok {
			return fmt.Errorf("uniques: no kind has the type %s", u.typ)
		}
		i := slices.IndexFunc(n.fields, func(f field) bool { return f.name == u.list })
		if i < 0 {
			return fmt.Errorf("uniques: %s has no field %q", u.typ, u.list)
		}
		n.fields[i].unique = u.field
	}
	return nil
}
