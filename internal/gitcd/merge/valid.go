// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
)

// valid gives the spec of the merged object to one side if each side's is one
// that an API server takes, and the mix of them is not. It looks for what two
// changes that are each fine can bring about together, no more.
func (m *merger) valid(merged *object) *object {
	kind := kindOf(m.typ.Group(), m.typ.Kind)
	top := podSpec(kind)
	check := func(root *object) bool { return podFits(look(root, top)) && claimsFit(root, top) }
	switch {
	case kind == "Service":
		top, check = path(nil).field("spec"), portsFit
	case top == nil:
		return merged
	}
	if check(merged) || !check(m.first.root) || !check(m.second.root) {
		return merged
	}
	winner, why := m.entitled(top)
	if winner == nil {
		winner, _ = m.latest(top)
		why = Invalid
	}
	return m.impose(merged, top[:1], nil, winner, why)
}

// containerLists are the fields of a pod's spec that have containers: they share their names.
var containerLists = []string{"initContainers", "containers", "ephemeralContainers"}

// podFits checks the names in a pod's spec.
func podFits(spec any) bool {
	names, volumes := unique{}, unique{}
	fits := true
	for _, v := range listAt(spec, "volumes") {
		fits = volumes.add(text(v, "name")) && fits
	}
	for _, list := range containerLists {
		for _, c := range listAt(spec, list) {
			ports := unique{}
			fits = names.add(text(c, "name")) && fits
			for _, p := range listAt(c, "ports") {
				fits = ports.add(text(p, "name")) && fits
			}
			fits = fits && resourcesFit(at(c, "resources"))
		}
	}
	return fits
}

// claimsFit checks that what containers mount is there.
func claimsFit(root *object, top path) bool {
	have := map[string]bool{}
	for _, v := range listAt(look(root, top), "volumes") {
		have[text(v, "name")] = true
	}
	for _, v := range listAt(at(root, "spec"), "volumeClaimTemplates") {
		have[text(v, "metadata", "name")] = true
	}
	for _, list := range containerLists {
		for _, c := range listAt(look(root, top), list) {
			for _, mounts := range []string{"volumeMounts", "volumeDevices"} {
				if slices.ContainsFunc(listAt(c, mounts), func(v any) bool { return !have[text(v, "name")] }) {
					return false
				}
			}
		}
	}
	return true
}

// resourcesFit checks that no more is requested than is allowed.
func resourcesFit(resources any) bool {
	limits, _ := at(resources, "limits").(*object)
	for _, name := range names(limits) {
		request, err := quantityAt(resources, "requests", name)
		if err != nil {
			continue // none, or not for us to judge
		}
		limit, err := quantityAt(resources, "limits", name)
		if err == nil && request.Cmp(limit) > 0 {
			return false
		}
	}
	return true
}

// quantityAt reads a quantity, which is a string or a number.
func quantityAt(v any, names ...string) (resource.Quantity, error) {
	said := text(v, names...)
	if n, ok := at(v, names...).(json.Number); ok {
		said = n.String()
	}
	q, err := resource.ParseQuantity(said)
	if err != nil {
		return q, fmt.Errorf("read quantity %q: %w", said, err)
	}
	return q, nil
}

// portsFit checks the ports of a Service.
func portsFit(root *object) bool {
	numbers, ports := unique{}, unique{}
	kind := text(root, "spec", "type")
	list := listAt(at(root, "spec"), "ports")
	for _, p := range list {
		node := whole(at(p, "nodePort"))
		if node != 0 && (kind == "ClusterIP" || kind == "ExternalName") {
			return false
		}
		if node != 0 && !numbers.add(render(at(p, "nodePort"))+text(p, "protocol")) {
			return false
		}
		if name := text(p, "name"); !ports.add(name) || name == "" && len(list) > 1 {
			return false
		}
	}
	return true
}

// unique holds names that are to come once; no name does not count.
type unique map[string]bool

func (u unique) add(name string) bool {
	had := u[name]
	u[name] = name != ""
	return !had
}

func listAt(v any, name string) []any {
	list, _ := at(v, name).([]any)
	return list
}
