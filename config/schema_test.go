// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// definitions reads all generated definitions by kind.
func definitions(t *testing.T) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	files, err := filepath.Glob("*/crd/bases/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions found (%v); run: make generate", err)
	}
	all := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(b, crd); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all[crd.Spec.Names.Kind] = crd
	}
	return all
}

// apiServer does to an object what kube-apiserver does between its webhooks.
type apiServer struct {
	schema    *structuralschema.Structural
	validator validation.SchemaValidator
	cel       *cel.Validator
}

func newAPIServer(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition) *apiServer {
	t.Helper()
	props := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, props, nil); err != nil {
		t.Fatal(err)
	}
	s, err := structuralschema.NewStructural(props)
	if err != nil {
		t.Fatal(err)
	}
	if errs := structuralschema.ValidateStructural(nil, s); len(errs) > 0 {
		t.Fatalf("%s: %v", crd.Name, errs.ToAggregate())
	}
	v, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		t.Fatal(err)
	}
	return &apiServer{s, v, cel.NewValidator(s, true, celconfig.PerCallLimit)}
}

// admit prunes, fills in defaults, and validates. before may be nil.
func (a *apiServer) admit(t *testing.T, before, object map[string]any) field.ErrorList {
	t.Helper()
	pruning.Prune(object, a.schema, true)
	defaulting.Default(object, a.schema)
	errs := validation.ValidateCustomResource(nil, object, a.validator)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, a.schema, object)...)
	var old any
	if before != nil {
		old = before
	}
	celErrs, _ := a.cel.Validate(t.Context(), nil, a.schema, object, old, celconfig.RuntimeCELCostBudget)
	return append(errs, celErrs...)
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func TestAPIServerTakesTheDefinitions(t *testing.T) {
	t.Parallel()
	for kind, crd := range definitions(t) {
		apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
		crd.Status.StoredVersions = []string{crd.Spec.Versions[0].Name}
		internal := &apiextensions.CustomResourceDefinition{}
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, internal, nil); err != nil {
			t.Fatal(err)
		}
		// The rules' estimated cost is a part of what is validated.
		if errs := crdvalidation.ValidateCustomResourceDefinition(t.Context(), internal); len(errs) > 0 {
			t.Errorf("%s: %v", kind, errs.ToAggregate())
		}
	}
}

func TestSchemasAdmitAndRefuse(t *testing.T) {
	t.Parallel()
	const pod = "template: {spec: {containers: [{name: x, image: img}]}}"
	const heaven = "spec: {clusterName: blue, version: v1.36.3, upstream: {url: \"https://h:8443\"}, "
	cases := []struct{ name, kind, before, spec, want string }{
		{"least control plane", "HeadlessControlPlane", "", "spec: {version: v1.36.3}", ""},
		{"no version", "HeadlessControlPlane", "", "spec: {storage: {emptyDir: {}}}", "spec.version: Required"},
		{"two kinds of storage", "HeadlessControlPlane", "", "spec: {version: v1.36.3, storage: {emptyDir: {}, persistentVolumeClaim: {}}}", "set exactly one of"},
		{"no kind of storage", "HeadlessControlPlane", "", "spec: {version: v1.36.3, merge: {storage: {}}}", "set exactly one of"},
		{"unknown encryption", "HeadlessControlPlane", "", "spec: {version: v1.36.3, encryption: {provider: identity}}", "Unsupported value"},
		{"component twice", "HeadlessControlPlane", "", "spec: {version: v1.36.3, components: {additional: [{name: a, " + pod + "}, {name: a, " + pod + "}]}}", "Duplicate value"},
		{"component without template", "HeadlessControlPlane", "", "spec: {version: v1.36.3, components: {additional: [{name: a}]}}", "template: Required"},
		{"dashes before a flag", "HeadlessControlPlane", "", "spec: {version: v1.36.3, components: {apiServer: {extraArgs: [{name: --v, value: \"4\"}]}}}", "extraArgs[0].name"},
		{"node port of a cluster address", "HeadlessControlPlane", "", "spec: {version: v1.36.3, merge: {service: {type: ClusterIP, nodePort: 30443}}}", "nodePort needs type"},
		{"template without version", "HeadlessControlPlaneTemplate", "", "spec: {template: {spec: {storage: {emptyDir: {}}}}}", ""},
		{"front door", "TrishankuHeaven", "", heaven + "branch: heavens/apiserver}", ""},
		{"heaven without component", "TrishankuHeaven", "", heaven + "branch: heavens/x}", "its branch is heavens/apiserver"},
		{"heaven on main", "TrishankuHeaven", "", heaven + "branch: main}", "spec.branch"},
		{
			"heaven changes its branch", "TrishankuHeaven", heaven + "branch: heavens/apiserver}",
			heaven + "branch: heavens/x, component: {name: x, kubeconfig: {user: u}, " + pod + "}}", "branch never changes",
		},
		{"heaven with a plain upstream", "TrishankuHeaven", "", "spec: {clusterName: blue, version: v1.36.3, branch: heavens/apiserver, upstream: {url: \"http://h\"}}", "spec.upstream.url"},
		{"least merge", "AutomatedMerge", "", "spec: {clusterName: blue}", ""},
		{"merge of another cluster", "AutomatedMerge", "spec: {clusterName: blue}", "spec: {clusterName: green}", "clusterName never changes"},
		{"policy", "AutomatedMerge", "", "spec: {clusterName: blue, policy: {owners: [{key: /registry/minions/*, path: .spec.taints, branch: nodes/*}, {key: /registry/ranges/, branch: \"\"}, {key: /registry/pods/, branch: \"nodes/{.spec.nodeName}\"}], " +
			"branches: [{branch: nodes/*, prefer: [{path: .spec.replicas, take: Ours}], toMain: {exclude: [/registry/events/]}}, {branch: \"*\", fromMain: {include: [/registry/]}}]}}", ""},
		{"owner of no key", "AutomatedMerge", "", "spec: {clusterName: blue, policy: {owners: [{key: registry/x, branch: nodes/a}]}}", "spec.policy.owners[0].key"},
		{"owner by guess", "AutomatedMerge", "", "spec: {clusterName: blue, policy: {owners: [{key: /registry/x, branch: nodes/*}]}}", "stands for what the one in key stands for"},
		{"two stars", "AutomatedMerge", "", "spec: {clusterName: blue, policy: {branches: [{branch: a, toMain: {exclude: [/*/*]}}]}}", "toMain.exclude[0]"},
		{"branch twice", "AutomatedMerge", "", "spec: {clusterName: blue, policy: {branches: [{branch: a}, {branch: a}]}}", "Duplicate value"},
		{"unknown side", "HeadlessControlPlane", "", "spec: {version: v1.36.3, merge: {policy: {branches: [{branch: a, prefer: [{take: Mine}]}]}}}", "Unsupported value: \"Mine\""},
		{"field without its dot", "TrishankuHeaven", "", heaven + "branch: heavens/apiserver, policy: {prefer: [{path: spec, take: Ours}]}}", "spec.policy.prefer[0].path"},
		{"gate", "HeadlessControlPlane", "", "spec: {version: v1.36.3, merge: {defaultGates: Disabled, approvers: [heavens/a], gates: [{name: a, branches: [heavens/a], " +
			"rules: [{name: r, keys: [/registry/pods/**], verbs: [update], fields: [.status, \"!.status.x\"], when: [bound]}, {name: s, rbac: {pods: true}}], rates: [{name: d, limit: 0, per: 1m}]}]}}", ""},
		{"gate of nobody", "AutomatedMerge", "", "spec: {clusterName: blue, gates: [{name: a, branches: []}]}", "gates[0].branches"},
		{"gate with unknown verb", "AutomatedMerge", "", "spec: {clusterName: blue, gates: [{name: a, branches: [b], rules: [{name: r, verbs: [patch]}]}]}", "Unsupported value: \"patch\""},
		{"roles of nobody", "AutomatedMerge", "", "spec: {clusterName: blue, gates: [{name: a, branches: [b], rules: [{name: r, rbac: {pods: false}}]}]}", "names nobody"},
		{"rate without end", "AutomatedMerge", "", "spec: {clusterName: blue, gates: [{name: a, branches: [b], rates: [{name: d, limit: 1, per: 48h}]}]}", "write a time from 1s to 24h"},
		{"unknown forge", "GitRepository", "", "spec: {clusterName: blue, forge: {type: Sourceforge}}", "Unsupported value"},
		{"least repository", "GitRepository", "", "spec: {clusterName: blue}", ""},
		{"least infrastructure", "GitBackedCluster", "", "{}", ""},
		{"external machine", "GitBackedMachine", "", "spec: {external: {}}", ""},
		{"least config", "HeadlessConfig", "", "{}", ""},
		{"file without content", "HeadlessConfig", "", "spec: {files: [{path: /a}]}", "set exactly one of content"},
		{"file of two contents", "HeadlessConfig", "", "spec: {files: [{path: /a, content: x, contentFrom: {secret: {name: n, key: k}}}]}", "set exactly one of content"},
		{"relative file", "HeadlessConfig", "", "spec: {files: [{path: a, content: x}]}", "files[0].path"},
		{"file twice", "HeadlessConfig", "", "spec: {files: [{path: /a, content: x}, {path: /a, content: y}]}", "Duplicate value"},
		{"any kubelet field", "HeadlessConfig", "", "spec: {kubelet: {config: {maxPods: 5, evictionHard: {memory.available: 1%}}}}", ""},
	}
	crds := definitions(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := newAPIServer(t, crds[c.kind])
			var before map[string]any
			if c.before != "" {
				before = parse(t, c.before)
				if errs := server.admit(t, nil, before); len(errs) > 0 {
					t.Fatal(errs.ToAggregate())
				}
			}
			err := server.admit(t, before, parse(t, c.spec)).ToAggregate()
			switch {
			case c.want == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("got %v\nwant an error with %q", err, c.want)
			}
		})
	}
}

func TestSchemasKeepWhatTheyDoNotKnowOnlyWhereTheyMust(t *testing.T) {
	t.Parallel()
	crds := definitions(t)
	object := parse(t, "spec: {version: v1.36.3, typo: 1, components: {additional: [{name: a, template: {spec: {containers: [{name: x, image: img, lifecycle: {}}]}}}]}}")
	if errs := newAPIServer(t, crds["HeadlessControlPlane"]).admit(t, nil, object); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	b, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(b); strings.Contains(s, "typo") || !strings.Contains(s, "lifecycle") {
		t.Fatalf("want typo pruned and lifecycle kept, got\n%s", s)
	}
}
