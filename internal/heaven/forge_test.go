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

// TestWebhook has the hub listen with TLS at a port of its Service, with the secret from a file.
func TestWebhook(t *testing.T) {
	t.Parallel()
	merge := &heavenv1.AutomatedMerge{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "blue"}, Spec: heavenv1.AutomatedMergeSpec{ClusterName: "blue"}}
	hook := heavenv1.ForgeWebhook{SecretRef: heavenv1.LocalReference{Name: "hook"}}
	repository := &heavenv1.GitRepository{Spec: heavenv1.GitRepositorySpec{Forge: heavenv1.Forge{Type: heavenv1.ForgeGit, Git: &heavenv1.GitForge{
		URL: "https://forge.example.org/blue.git", Webhook: hook,
	}}}}
	in := HubInput{Merge: merge, Repository: repository}
	o, err := HubObjects(in)
	if err != nil {
		t.Fatal(err)
	}
	lines := func(cert, key string) string {
		return "hooks:\n  certFile: " + gitcdTLSDir + cert + "\n  keyFile: " + gitcdTLSDir + key + "\n  listen: 0.0.0.0:8444\n  secretFile: " + gitcdTLSDir + "/hook-secret\n"
	}
	if config := o.ConfigMap.Data[configKey]; !strings.Contains(config, lines("/hub.crt", "/hub.key")) {
		t.Errorf("the configuration is\n%s", config)
	}
	ports := o.Service.Spec.Ports
	if len(ports) != 2 || ports[1].Name != "hooks" || ports[1].Port != 8444 || len(o.Deployment.Spec.Template.Spec.Containers[0].Ports) != 2 {
		t.Fatalf("ports are %+v", ports)
	}
	if lacks := ForgeSecrets(repository)[0].Lacks(nil); len(lacks) != 1 || lacks[0] != "secret" {
		t.Errorf("an empty Secret lacks %v", lacks)
	}

	l := Location{External: heavenv1.Endpoint{Host: "2001:db8::1", Port: 30443}}
	if got := WebhookURL(repository, o.Service, l); got != "" {
		t.Errorf("without a node port it is %q", got)
	}
	ports[1].NodePort = 30444
	if got := WebhookURL(repository, o.Service, l); got != "https://[2001:db8::1]:30444/hooks" {
		t.Errorf("it is %q", got)
	}
	repository.Spec.Forge.Git.Webhook.ExternalURL = "https://hooks.example.org/blue"
	repository.Spec.Forge.Git.Webhook.ServingSecretRef.Name = "certificate"
	if got := WebhookURL(repository, o.Service, l); got != "https://hooks.example.org/blue" {
		t.Errorf("it is %q", got)
	}
	if o, err = HubObjects(in); err != nil || !strings.Contains(o.ConfigMap.Data[configKey], lines("/hook.crt", "/hook.key")) {
		t.Errorf("%v: the configuration is\n%s", err, o.ConfigMap.Data[configKey])
	}
	repository.Spec.Forge.Git.Webhook.Port = heavenv1.HubPort
	if _, err := HubObjects(in); err == nil || !strings.Contains(err.Error(), "write another webhook.port") {
		t.Errorf("two ports of one number: %v", err)
	}
}
