// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package infrastructure

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
)

func expect(t *testing.T, errs field.ErrorList, want string) {
	t.Helper()
	err := errs.ToAggregate()
	switch {
	case want == "" && err != nil:
		t.Fatalf("refused: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Fatalf("got %v\nwant an error with %q", err, want)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := &infrav1.GitBackedCluster{}
	clusters.Default(c)
	if r := c.Spec.Repository; r.Forge.Type != heavenv1.ForgeNone || r.DeletionPolicy != heavenv1.DeletionDelete {
		t.Errorf("defaults are %+v", r)
	}
	expect(t, clusters.Validate(c), "")
	c.Spec.ControlPlaneEndpoint = clusterv1.APIEndpoint{Host: "api.example.org"}
	expect(t, clusters.Validate(c), "spec.controlPlaneEndpoint.port: Required value: write host and port, or neither")

	template := &infrav1.GitBackedClusterTemplate{}
	template.Spec.Template.Spec = c.Spec
	expect(t, clusterTemplates.Validate(template), "spec.template.spec.controlPlaneEndpoint.port")
}

func TestRepository(t *testing.T) {
	t.Parallel()
	before := &heavenv1.GitRepository{}
	repositories.Default(before)
	after := before.DeepCopy()
	after.Spec.DeletionPolicy = heavenv1.DeletionRetain
	expect(t, repositories.Change(before, after), "")
	after.Spec.Forge = forge("https://forge.example.org/blue.git")
	expect(t, repositories.Change(before, after), "")
	expect(t, repositories.Change(after, before), "the history is at forge Git")
}

func forge(url string) heavenv1.Forge {
	return heavenv1.Forge{Type: heavenv1.ForgeGit, Git: &heavenv1.GitForge{
		URL: url, Webhook: heavenv1.ForgeWebhook{SecretRef: heavenv1.LocalReference{Name: "hook"}},
	}}
}

func TestForge(t *testing.T) {
	t.Parallel()
	r := &heavenv1.GitRepository{Spec: heavenv1.GitRepositorySpec{Forge: forge("https://forge.example.org/blue.git")}}
	repositories.Default(r)
	expect(t, repositories.Validate(r), "")
	if got := r.Spec.Forge.Git.Webhook.Port; got != heavenv1.HooksPort {
		t.Errorf("the port is %d", got)
	}
	r.Spec.Forge = forge("http://forge.example.org/blue.git")
	expect(t, repositories.Validate(r), "spec.forge.git.url")
	c := &infrav1.GitBackedCluster{Spec: infrav1.GitBackedClusterSpec{Repository: infrav1.Repository{Forge: forge("https://me@forge.example.org/blue.git")}}}
	expect(t, clusters.Validate(c), "spec.repository.forge.git.url")
}

func TestMachine(t *testing.T) {
	t.Parallel()
	machine := func(id string) *infrav1.GitBackedMachine {
		m := &infrav1.GitBackedMachine{}
		m.Spec.ProviderID = id
		machines.Default(m)
		return m
	}
	if machine("").Spec.External == nil {
		t.Error("a machine of no kind is not external")
	}
	for id, want := range map[string]string{
		"": "", "headless://default/blue-1": "", "gce://project/zone/name": "",
		"blue-1": "write it as the machine's kubelet reports it", "headless:///": "spec.providerID",
	} {
		expect(t, machines.Validate(machine(id)), want)
	}
	expect(t, machines.Change(machine(""), machine("headless://a/b")), "")
	expect(t, machines.Change(machine("headless://a/b"), machine("headless://a/c")), "delete the Machine to get another")
	expect(t, machines.Change(machine("headless://a/b"), machine("")), "spec.providerID: Forbidden")

	template := &infrav1.GitBackedMachineTemplate{}
	expect(t, machineTemplates.Validate(template), "")
	template.Spec.Template.Spec.ProviderID = "headless://a/b"
	expect(t, machineTemplates.Validate(template), "spec.template.spec.providerID: Forbidden: each machine has its own")
}
