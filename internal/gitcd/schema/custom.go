// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Custom is the schema of a custom resource, in all versions that its
// definition has.
type Custom struct {
	group, kind string
	versions    map[string]*node
}

// errNoDefinition says that something is no CustomResourceDefinition.
var errNoDefinition = errors.New("not a CustomResourceDefinition of apiextensions.k8s.io/v1")

// NewCustom reads a CustomResourceDefinition, in JSON. What merges do not need is not kept.
func NewCustom(definition []byte) (*Custom, error) {
	var d struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			Group string `json:"group"`
			Names struct {
				Kind string `json:"kind"`
			} `json:"names"`
			Versions []struct {
				Name   string `json:"name"`
				Schema struct {
					OpenAPI *property `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(definition, &d); err != nil {
		return nil, fmt.Errorf("read definition of a custom resource: %w", err)
	}
	if d.Kind != "CustomResourceDefinition" || d.APIVersion != "apiextensions.k8s.io/v1" {
		return nil, fmt.Errorf("read definition of a custom resource: %s %s: %w", d.APIVersion, d.Kind, errNoDefinition)
	}
	c := &Custom{group: d.Spec.Group, kind: d.Spec.Names.Kind, versions: make(map[string]*node, len(d.Spec.Versions))}
	for _, v := range d.Spec.Versions {
		if v.Schema.OpenAPI == nil {
			continue
		}
		delete(v.Schema.OpenAPI.Properties, "metadata") // it is as every object's
		c.versions[v.Name] = v.Schema.OpenAPI.node()
	}
	return c, nil
}

// Lookup implements Schema. Nothing is known of other kinds, and of versions
// that the definition has not.
func (c *Custom) Lookup(t Type, p Path) Field {
	if t.Group() != c.group || t.Kind != c.kind {
		return Field{}
	}
	return c.versions[t.Version()].lookup(p)
}

// property is what merges need to know of a structural schema.
type property struct {
	Properties           map[string]*property `json:"properties"`
	AdditionalProperties *additional          `json:"additionalProperties"`
	Items                *property            `json:"items"`
	Default              json.RawMessage      `json:"default"`

	ListType    string   `json:"x-kubernetes-list-type"`
	ListMapKeys []string `json:"x-kubernetes-list-map-keys"`
	MapType     string   `json:"x-kubernetes-map-type"`
	Embedded    bool     `json:"x-kubernetes-embedded-resource"`

	Required      []string  `json:"required"`
	MinProperties int       `json:"minProperties"`
	MaxProperties int       `json:"maxProperties"`
	MinItems      int       `json:"minItems"`
	MaxItems      int       `json:"maxItems"`
	OneOf         []*choice `json:"oneOf"`
}

// additional is the schema of fields with any name, or a word about whether there may be some.
type additional struct{ schema *property }

// UnmarshalJSON implements json.Unmarshaler.
func (a *additional) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '{' {
		return nil
	}
	return json.Unmarshal(data, &a.schema)
}

// choice is one of several things that a value may be: here, by the field it
// has. Choices of other kinds are not understood.
type choice struct{ field string }

// UnmarshalJSON implements json.Unmarshaler.
func (c *choice) UnmarshalJSON(data []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	var fields []string
	if json.Unmarshal(all["required"], &fields) == nil && len(fields) == 1 && len(all) == 1 {
		c.field = fields[0]
	}
	return nil
}

// node returns what merges have to know, nil if that is nothing.
func (p *property) node() *node {
	if p == nil {
		return nil
	}
	n := &node{Field: Field{Limits: p.limits()}, item: p.Items.node()}
	for name, below := range p.Properties {
		if c := below.node(); c != nil {
			n.set(name, c)
		}
	}
	if p.Embedded {
		n.set("metadata", kubernetes().types["meta.v1.ObjectMeta"])
	}
	if p.AdditionalProperties != nil {
		n.other = p.AdditionalProperties.schema.node()
	}
	switch {
	case p.MapType == "atomic", p.ListType == "atomic":
		return atomic
	case p.ListType == "set":
		n.Shape, n.Ordered = Set, true
	case p.ListType == "map" && len(p.ListMapKeys) > 0:
		p.keyed(&n.Field)
	case p.Items != nil:
		return atomic // what a list is if nothing else is said
	}
	if !n.useful() {
		return nil
	}
	return n
}

func (n *node) set(name string, below *node) {
	if n.names == nil {
		n.names = make(map[string]*node)
	}
	n.names[name] = below
}

// keyed describes a list by its keys.
func (p *property) keyed(f *Field) {
	f.Shape, f.Keys, f.Ordered = KeyedList, p.ListMapKeys, true
	if p.Items == nil {
		return
	}
	f.Unit = p.Items.MapType == "atomic"
	for _, key := range p.ListMapKeys {
		of := p.Items.Properties[key]
		if of == nil || len(of.Default) == 0 {
			continue
		}
		if f.Defaults == nil {
			f.Defaults = make(map[string]string)
		}
		f.Defaults[key] = string(of.Default)
	}
}

// limits returns what the value as a whole keeps to.
func (p *property) limits() *Limits {
	l := Limits{
		Required:  p.Required,
		MinFields: p.MinProperties, MaxFields: p.MaxProperties,
		MinItems: p.MinItems, MaxItems: p.MaxItems,
	}
	if len(p.OneOf) > 1 && !slices.ContainsFunc(p.OneOf, func(c *choice) bool { return c == nil || c.field == "" }) {
		names := make([]string, 0, len(p.OneOf))
		for _, c := range p.OneOf {
			names = append(names, c.field)
		}
		l.OneOf = [][]string{names}
	}
	if len(l.Required)+len(l.OneOf)+l.MinFields+l.MaxFields+l.MinItems+l.MaxItems == 0 {
		return nil
	}
	return &l
}
