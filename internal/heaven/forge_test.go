// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// TestForge gives the hub of a repository with a forge its address and its Secrets, and no secret in its configuration.
func TestForge(t *testing.T) {
	t.Parallel()
	merge := &heavenv1.AutomatedMerge{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "blue"}, Spec: heavenv1.AutomatedMergeSpec{ClusterName: "blue"}}
	repository := &heavenv1.GitRepository{Spec: heavenv1.GitRepositorySpec{Forge: heavenv1.Forge{Type: heavenv1.ForgeGit, Git: &heavenv1.GitForge{
		URL: "https://forge.example.org/blue.git", CredentialsSecretRef: heavenv1.LocalReference{Name: "robot"},
		CASecretRef: heavenv1.LocalReference{Name: "authority"}, PushIntervalSeconds: new(int32(30)),
	}}}}
	o, err := HubObjects(HubInput{Merge: merge, Repository: repository})
	if err != nil {
		t.Fatal(err)
	}
	config := o.ConfigMap.Data[configKey]
	for _, want := range []string{
		"url: https://forge.example.org/blue.git", "usernameFile: " + gitcdTLSDir + "/forge-username", "passwordFile: " + gitcdTLSDir + "/forge-password",
		"caFile: " + gitcdTLSDir + "/forge-ca.crt", "pushInterval: 30s",
	} {
		if !strings.Contains(config, want) {
			t.Errorf("the configuration lacks %q:\n%s", want, config)
		}
	}
	projected := map[string]bool{}
	for _, v := range o.Deployment.Spec.Template.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.Secret != nil {
				projected[s.Secret.Name] = true
			}
		}
	}
	if !projected["robot"] || !projected["authority"] {
		t.Errorf("the pod has %v", projected)
	}
	repository.Spec.Forge = heavenv1.Forge{Type: heavenv1.ForgeNone}
	if o, err = HubObjects(HubInput{Merge: merge, Repository: repository}); err != nil || strings.Contains(o.ConfigMap.Data[configKey], "mirror") {
		t.Errorf("without a forge: %v\n%s", err, o.ConfigMap.Data[configKey])
	}
}
