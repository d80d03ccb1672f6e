// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	bootstrapv1 "github.com/trishanku-org/cluster-api-provider-headless/api/bootstrap/v1alpha1"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, spec, want string }{
		{"least", "{}", ""},
		{"much", `{labels: {a: b, node.kubernetes.io/x: y, topology.kubernetes.io/zone: z}, taints: [{key: a, effect: NoSchedule}],
			kubelet: {extraArgs: [{name: v, value: "4"}], config: {maxPods: 50}}, files: [{path: /a, content: aGk=, encoding: base64}]}`, ""},
		{"role label", "{labels: {node-role.kubernetes.io/worker: \"\"}}", "spec.labels[node-role.kubernetes.io/worker]: Forbidden: a kubelet may not"},
		{"bad label", "{labels: {a: \"b c\"}}", "spec.labels"},
		{"taint without effect", "{taints: [{key: a}]}", "spec.taints[0].effect"},
		{"taint twice", "{taints: [{key: a, effect: NoSchedule}, {key: a, value: b, effect: NoSchedule}]}", "spec.taints[1]: Duplicate"},
		{"own flag", "{kubelet: {extraArgs: [{name: provider-id, value: x}]}}", "infrastructure machine's spec.providerID"},
		{"own field", "{kubelet: {config: {registerWithTaints: []}}}", "spec.kubelet.config.registerWithTaints: Forbidden: cannot be set here: write taints"},
		{"other kind", "{kubelet: {config: {kind: KubeProxyConfiguration}}}", "write KubeletConfiguration"},
		{"no base64", "{files: [{path: /a, content: \"!\", encoding: base64}]}", "spec.files[0].content"},
		{"two contents", "{files: [{path: /a, content: x, contentFrom: {secret: {name: n, key: k}}}]}", "exactly one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config, template := &bootstrapv1.HeadlessConfig{}, &bootstrapv1.HeadlessConfigTemplate{}
			if err := yaml.UnmarshalStrict([]byte(c.spec), &config.Spec); err != nil {
				t.Fatal(err)
			}
			template.Spec.Template.Spec = config.Spec
			for prefix, errs := range map[string]error{
				"":               configs.Validate(config).ToAggregate(),
				"spec.template.": configTemplates.Validate(template).ToAggregate(),
			} {
				switch {
				case c.want == "" && errs != nil:
					t.Errorf("refused: %v", errs)
				case c.want != "" && (errs == nil || !strings.Contains(errs.Error(), c.want) || !strings.Contains(errs.Error(), prefix)):
					t.Errorf("got %v\nwant an error with %q", errs, c.want)
				}
			}
		})
	}
}
