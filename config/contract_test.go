// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gobuffalo/flect"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// contractFields are the fields that Cluster API's contract v1beta2 reads or writes, by kind.
var contractFields = map[string][]string{
	"HeadlessControlPlane": {
		"spec.version:string", "spec.controlPlaneEndpoint.host:string", "spec.controlPlaneEndpoint.port:integer",
		"status.initialization.controlPlaneInitialized:boolean", "status.versions:array",
		"status.externalManagedControlPlane:boolean", "status.conditions:array", "status.observedGeneration:integer",
	},
	"HeadlessControlPlaneTemplate": {"spec.template.metadata.labels:object", "spec.template.spec:object"},
	"GitBackedCluster": {
		"spec.controlPlaneEndpoint.host:string", "spec.controlPlaneEndpoint.port:integer",
		"status.initialization.provisioned:boolean", "status.failureDomains:array", "status.conditions:array",
	},
	"GitBackedClusterTemplate": {"spec.template.metadata.labels:object", "spec.template.spec:object"},
	"GitBackedMachine": {
		"spec.providerID:string", "status.initialization.provisioned:boolean", "status.addresses:array",
		"status.failureDomain:string", "status.conditions:array",
	},
	"GitBackedMachineTemplate": {"spec.template.metadata.labels:object", "spec.template.spec:object"},
	"HeadlessConfig": {
		"status.dataSecretName:string", "status.initialization.dataSecretCreated:boolean", "status.conditions:array",
	},
	"HeadlessConfigTemplate": {"spec.template.metadata.labels:object", "spec.template.spec:object"},
}

// contractAbsent are fields that core would act upon, to our harm.
var contractAbsent = map[string][]string{
	"GitBackedMachine":             {"spec.failureDomain"}, // core overwrites Machine.spec.failureDomain with it
	"GitBackedMachineTemplate":     {"spec.template.spec.failureDomain"},
	"HeadlessControlPlane":         {"spec.replicas", "status.replicas", "status.ready", "status.failureReason"},
	"HeadlessControlPlaneTemplate": {"spec.template.spec.version", "spec.template.spec.controlPlaneEndpoint"}, // a topology writes them
}

func schemaAt(crd *apiextensionsv1.CustomResourceDefinition, path string) *apiextensionsv1.JSONSchemaProps {
	s := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	for part := range strings.SplitSeq(path, ".") {
		next, ok := s.Properties[part]
		if !ok {
			return nil
		}
		s = &next
	}
	return s
}

func TestDefinitionsKeepTheContract(t *testing.T) {
	t.Parallel()
	crds := definitions(t)
	for kind, fields := range contractFields {
		crd := crds[kind]
		if crd == nil {
			t.Errorf("%s: no definition", kind)
			continue
		}
		if got := crd.Labels["cluster.x-k8s.io/v1beta2"]; got != crd.Spec.Versions[0].Name {
			t.Errorf("%s: contract label is %q, want %q: core would not find the version", kind, got, crd.Spec.Versions[0].Name)
		}
		for _, f := range fields {
			path, want, _ := strings.Cut(f, ":")
			if s := schemaAt(crd, path); s == nil || s.Type != want {
				t.Errorf("%s: %s is not there, or no %s", kind, path, want)
			}
		}
		for _, path := range contractAbsent[kind] {
			if schemaAt(crd, path) != nil {
				t.Errorf("%s: %s must not exist", kind, path)
			}
		}
	}
}

func TestDefinitionsAreAlike(t *testing.T) {
	t.Parallel()
	for kind, crd := range definitions(t) {
		names, version := crd.Spec.Names, crd.Spec.Versions[0]
		if crd.Spec.Scope != apiextensionsv1.NamespaceScoped {
			t.Errorf("%s: scope is %s", kind, crd.Spec.Scope)
		}
		if want := flect.Pluralize(strings.ToLower(kind)); names.Plural != want {
			t.Errorf("%s: plural is %s; core and clusterctl compute %s", kind, names.Plural, want)
		}
		if !slices.Contains(names.Categories, "cluster-api") || len(names.ShortNames) == 0 {
			t.Errorf("%s: wants category cluster-api and a short name", kind)
		}
		if len(version.AdditionalPrinterColumns) == 0 {
			t.Errorf("%s: no printer columns", kind)
		}
		_, skipped := crd.Annotations["clusterctl.cluster.x-k8s.io/skip-crd-name-preflight-check"]
		_, labelled := crd.Labels[clusterv1.GroupVersion.Group+"/v1beta2"]
		if skipped == labelled {
			t.Errorf("%s: a kind either keeps the contract (label) or is none of core's business (annotation)", kind)
		}
		if strings.HasSuffix(kind, "Template") {
			continue
		}
		if version.Subresources == nil || version.Subresources.Status == nil {
			t.Errorf("%s: no status subresource", kind)
		}
		c := schemaAt(crd, "status.conditions")
		if c == nil || c.XListType == nil || *c.XListType != "map" || !slices.Equal(c.XListMapKeys, []string{"type"}) {
			t.Errorf("%s: status.conditions is no map by type", kind)
		}
		undocumented(t, kind, "spec", schemaAt(crd, "spec"))
	}
}

// undocumented finds fields of ours without a description; those of Kubernetes' own types have theirs.
func undocumented(t *testing.T, kind, path string, s *apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	for name, p := range s.Properties {
		schemaless := p.XPreserveUnknownFields != nil
		if p.Description == "" && !schemaless {
			t.Errorf("%s: %s.%s has no description", kind, path, name)
		}
		undocumented(t, kind, path+"."+name, &p)
	}
	if s.Items != nil && s.Items.Schema != nil {
		undocumented(t, kind, path+"[]", s.Items.Schema)
	}
}
