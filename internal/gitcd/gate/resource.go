// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import "strings"

// resource is what an API calls the objects below a prefix of keys.
type resource struct {
	group, name       string
	namespace, object string
	custom            bool // it is a custom resource's, or an aggregated group's
}

// prefixes are the built-in resources whose keys are not named after them.
var prefixes = map[string]string{
	"minions": "nodes", "services/specs": "services", "services/endpoints": "endpoints",
	"ingress": "ingresses", "controllers": "replicationcontrollers",
}

// builtIn has the groups of built-in resources, which are not in their keys.
var builtIn = byResource(map[string]string{
	"": "configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes pods podtemplates " +
		"replicationcontrollers resourcequotas secrets serviceaccounts services",
	"admissionregistration.k8s.io": "mutatingadmissionpolicies mutatingadmissionpolicybindings mutatingwebhookconfigurations " +
		"validatingadmissionpolicies validatingadmissionpolicybindings validatingwebhookconfigurations",
	"apps":                         "controllerrevisions daemonsets deployments replicasets statefulsets",
	"autoscaling":                  "horizontalpodautoscalers",
	"batch":                        "cronjobs jobs",
	"certificates.k8s.io":          "certificatesigningrequests clustertrustbundles podcertificaterequests",
	"coordination.k8s.io":          "leasecandidates leases",
	"discovery.k8s.io":             "endpointslices",
	"flowcontrol.apiserver.k8s.io": "flowschemas prioritylevelconfigurations",
	"internal.apiserver.k8s.io":    "storageversions",
	"networking.k8s.io":            "ingressclasses ingresses ipaddresses networkpolicies servicecidrs",
	"node.k8s.io":                  "runtimeclasses",
	"policy":                       "poddisruptionbudgets",
	"rbac.authorization.k8s.io":    "clusterrolebindings clusterroles rolebindings roles",
	"resource.k8s.io":              "deviceclasses devicetaintrules resourceclaims resourceclaimtemplates resourceslices",
	"scheduling.k8s.io":            "priorityclasses",
	"storage.k8s.io":               "csidrivers csinodes csistoragecapacities storageclasses volumeattachments volumeattributesclasses",
	"storagemigration.k8s.io":      "storageversionmigrations",
})

func byResource(groups map[string]string) map[string]string {
	out := map[string]string{}
	for group, names := range groups {
		for name := range strings.FieldsSeq(names) {
			out[name] = group
		}
	}
	return out
}

// resourceOf reads a key of a kube-apiserver. An object of another group than
// the key's has no business there.
func resourceOf(key string, o object) (resource, bool) {
	rest, ok := strings.CutPrefix(key, "/registry/")
	if !ok {
		return resource{}, false
	}
	parts := strings.Split(rest, "/")
	var r resource
	switch {
	case strings.Contains(parts[0], "."):
		if len(parts) < 3 {
			return resource{}, false
		}
		r, parts = resource{group: parts[0], name: parts[1], custom: true}, parts[2:]
	case len(parts) > 2 && prefixes[parts[0]+"/"+parts[1]] != "":
		r, parts = resource{name: prefixes[parts[0]+"/"+parts[1]]}, parts[2:]
	default:
		r, parts = resource{name: parts[0]}, parts[1:]
		if name, ok := prefixes[r.name]; ok {
			r.name = name
		}
	}
	if !r.custom {
		r.group, ok = builtIn[r.name]
		if !ok {
			r.group = groupOf(o)
		}
	}
	if o != nil && groupOf(o) != r.group {
		return resource{}, false
	}
	switch len(parts) {
	case 1:
		r.object = parts[0]
	case 2:
		r.namespace, r.object = parts[0], parts[1]
	default:
		return resource{}, false
	}
	return r, r.object != ""
}

// groupOf returns the group of an object's apiVersion, "" for the core group.
func groupOf(o object) string {
	group, _, ok := strings.Cut(o.text("apiVersion"), "/")
	if !ok {
		return ""
	}
	return group
}
