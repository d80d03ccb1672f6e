// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"maps"
	"slices"
	"strings"
)

const mirrorAnnotation = "kubernetes.io/config.mirror"

// relation is what a rule may ask of a change, beyond key, verb and fields.
type relation struct {
	holds func(*view) bool
	// otherwise is the reason that is given if it does not hold.
	otherwise string
}

// relations by name; docs/gates.md explains each.
var relations = map[string]relation{
	"bound": {func(v *view) bool {
		return v.old.text("spec", "nodeName") == v.name && (v.new == nil || v.new.text("spec", "nodeName") == v.name)
	}, "the pod is not bound to this node in main"},
	"unbound":     {unbound, "the pod is bound already in main"},
	"sound":       {func(v *view) bool { return v.new == nil || sound(v.Key, v.new) }, "its value is not the object that the key is for"},
	"terminating": {func(v *view) bool { return v.terminating() }, "it is not being deleted in main"},
	"mirror":      {mirror, "it is no mirror pod of this node, or one that names accounts or volumes of the cluster"},
	"on-node": {func(v *view) bool {
		return v.all(func(o object) bool { return o.text("spec", "nodeName") == v.name })
	}, "its spec.nodeName is not this node"},
	"own-labels": {ownLabels, "it has a label that is not the node's to set"},
	"requested": {func(v *view) bool {
		return v.new.text("spec", "username") == "system:node:"+v.name && v.new.at("status", "certificate") == nil && len(v.new.list("status", "conditions")) == 0
	}, "it is not requested by this node, or answered already"},
	"claimed":    {claimed, "no pod that is bound to this node uses the claim"},
	"local-apis": {localAPIs, "the APIService leads to a Service"},
	"defunct":    {defunct, "its CustomResourceDefinition is not being deleted in main"},
	"allocated":  {allocated, "the address's Service is there, or it is not an address of a Service"},
}

// Relations returns the names of the relations that rules may ask for.
func Relations() []string { return slices.Sorted(maps.Keys(relations)) }

// all says whether something is true of the object before and after, where it is there.
func (v *view) all(is func(object) bool) bool {
	return (v.old == nil || is(v.old)) && (v.new == nil || is(v.new))
}

// sound says whether an object is what its key says: of that group, with that name.
func sound(key string, o object) bool {
	res, ok := resourceOf(key, o)
	return ok && o.text("kind") != "" && o.text("metadata", "name") == res.object && o.text("metadata", "namespace") == res.namespace
}

// ownLabels holds if no label by which others keep pods off a node changes.
func ownLabels(v *view) bool {
	kept := func(o object) map[string]any {
		labels, _ := o.at("metadata", "labels").(map[string]any)
		out := map[string]any{}
		for name, value := range labels {
			domain, _, _ := strings.Cut(name, "/")
			if domain == "node-role.kubernetes.io" || domain == "node-restriction.kubernetes.io" || strings.HasSuffix(domain, ".node-restriction.kubernetes.io") {
				out[name] = value
			}
		}
		return out
	}
	return maps.Equal(kept(v.old), kept(v.new))
}

// mirror holds for the API's picture of a static pod, which the kubelet makes.
// As with the admission plugin NodeRestriction, it may name nothing of the cluster's.
func mirror(v *view) bool {
	return v.all(func(o object) bool {
		if o.text("spec", "nodeName") != v.name || o.text("metadata", "annotations", mirrorAnnotation) == "" || o.text("spec", "serviceAccountName") != "" {
			return false
		}
		owners := o.list("metadata", "ownerReferences")
		if len(owners) != 1 || owners[0].text("kind") != "Node" || owners[0].text("name") != v.name {
			return false
		}
		if len(o.list("spec", "resourceClaims")) > 0 {
			return false
		}
		for _, volume := range o.list("spec", "volumes") {
			for _, cluster := range []string{"secret", "configMap", "persistentVolumeClaim", "projected", "ephemeral", "csi"} {
				if volume.at(cluster) != nil {
					return false
				}
			}
		}
		return true
	})
}

// claimed holds for a claim that a pod of the node uses.
func claimed(v *view) bool {
	o := v.any()
	for key := range v.main.nodes[v.name] {
		p := v.main.pods[key]
		if p.namespace == o.text("metadata", "namespace") && slices.Contains(p.claims, o.text("metadata", "name")) {
			return true
		}
	}
	return false
}

// localAPIs holds for an APIService that API servers make for what they serve themselves.
func localAPIs(v *view) bool {
	return v.all(func(o object) bool { return o.at("spec", "service") == nil })
}

// defunct holds for a custom resource whose definition is on its way out: each
// API server then deletes what is left.
func defunct(v *view) bool {
	res, ok := resourceOf(v.Key, nil)
	if !ok || !res.custom {
		return false
	}
	definition := v.main.object("/registry/apiextensions.k8s.io/customresourcedefinitions/" + res.name + "." + res.group)
	return definition.text("metadata", "deletionTimestamp") != ""
}

// allocated holds for the address of a Service that is new, or gone: each API
// server keeps them in step.
func allocated(v *view) bool {
	ref := v.any()
	if ref.text("spec", "parentRef", "resource") != "services" {
		return false
	}
	service := v.main.object("/registry/services/specs/" + ref.text("spec", "parentRef", "namespace") + "/" + ref.text("spec", "parentRef", "name"))
	return (v.new == nil) == (service == nil)
}
