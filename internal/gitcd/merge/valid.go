// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
)

// mixture says what two changes of a kind, each of which an API server takes,
// can bring about together that it does not take, and which fields then come
// from one side.
type mixture struct {
	fits   func(root *object) bool
	fields []path
}

// mixtureOf returns what is checked of a kind.
func mixtureOf(kind string) (mixture, bool) {
	if top := podSpec(kind); top != nil {
		fits := func(root *object) bool { return podFits(look(root, top)) && mountsFit(root, top) }
		return mixture{fits, []path{top[:1]}}, true
	}
	switch kind {
	case "Service":
		return mixture{portsFit, []path{path(nil).field("spec")}}, true
	case "ConfigMap":
		return mixture{dataFits, []path{path(nil).field("data"), path(nil).field("binaryData")}}, true
	default:
		return mixture{}, false
	}
}

// valid gives fields of the merged object to one side if each side is one that
// an API server takes, and the mix of them is not.
func (m *merger) valid(merged *object) *object {
	mix, ok := mixtureOf(kindOf(m.typ.Group(), m.typ.Kind))
	if !ok || mix.fits(merged) || !mix.fits(m.first.root) || !mix.fits(m.second.root) {
		return merged
	}
	winner, why := m.entitled(mix.fields[0])
	if winner == nil {
		winner, _ = m.latest(mix.fields[0])
		why = Invalid
	}
	for _, p := range mix.fields {
		merged = m.impose(merged, p, nil, winner, why)
	}
	return merged
}

// dataFits checks that no key of a ConfigMap is both text and binary.
func dataFits(root *object) bool {
	text, _ := root.get("data").(*object)
	binary, _ := root.get("binaryData").(*object)
	return !slices.ContainsFunc(names(text), func(name string) bool { return binary.get(name) != absent })
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
			fits = fits && resourcesFit(at(c, "resources")) && privilegesFit(at(c, "securityContext"))
		}
	}
	return fits
}

// mountsFit checks that what containers mount is there.
func mountsFit(root *object, top path) bool {
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

// privilegesFit checks that who may do everything is not told not to gain more.
func privilegesFit(security any) bool {
	capabilities := listAt(at(security, "capabilities"), "add")
	all := at(security, "privileged") == true || slices.ContainsFunc(capabilities, func(c any) bool {
		return c == "SYS_ADMIN" || c == "CAP_SYS_ADMIN"
	})
	return !all || at(security, "allowPrivilegeEscalation") != false
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
