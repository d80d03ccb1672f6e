// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// Files of the forge's Secrets, beside the certificates. gitcd reads them for each request, so that a changed Secret
// needs no new pod.
const (
	forgeUsername = "forge-username"
	forgePassword = "forge-password"
	forgeCA       = "forge-ca.crt"
	hookSecret    = "hook-secret"
	hookCert      = "hook.crt"
	hookKey       = "hook.key"
)

// hooksPort is the name of the port, of the hub's pod and Service, that forges call.
const hooksPort = "hooks"

// MountedSecret is a Secret that a hub mounts for its forge.
type MountedSecret struct {
	Name string
	// Keys that it must have, each with the file that it becomes, in pairs.
	Keys []string
	// For says what it is for, in the words of the GitRepository.
	For string
}

// Lacks are the keys that the Secret's data is without.
func (m MountedSecret) Lacks(data map[string][]byte) []string {
	var keys []string
	for i := 0; i < len(m.Keys); i += 2 {
		if len(data[m.Keys[i]]) == 0 {
			keys = append(keys, m.Keys[i])
		}
	}
	return keys
}

// gitForge is nil without a forge.
func gitForge(r *heavenv1.GitRepository) *heavenv1.GitForge {
	if r == nil || r.Spec.Forge.Type != heavenv1.ForgeGit {
		return nil
	}
	return r.Spec.Forge.Git
}

// webhook is nil if nobody is to listen.
func webhook(r *heavenv1.GitRepository) *heavenv1.ForgeWebhook {
	forge := gitForge(r)
	if forge == nil || forge.Webhook.SecretRef.Name == "" {
		return nil
	}
	return &forge.Webhook
}

// CheckForge names what a hub would not start with, each mistake with its field.
func CheckForge(forge *heavenv1.Forge) []error {
	r := &heavenv1.GitRepository{Spec: heavenv1.GitRepositorySpec{Forge: *forge}}
	return hubFile(HubInput{Merge: &heavenv1.AutomatedMerge{}, Repository: r}).Problems()
}

// mirrorConfig is nil if the hub mirrors to no forge.
func mirrorConfig(r *heavenv1.GitRepository) *gitcdv1.Mirror {
	forge := gitForge(r)
	if forge == nil {
		return nil
	}
	m := &gitcdv1.Mirror{URL: forge.URL}
	if forge.CredentialsSecretRef.Name != "" {
		m.UsernameFile, m.PasswordFile = gitcdTLSDir+"/"+forgeUsername, gitcdTLSDir+"/"+forgePassword
	}
	if forge.CASecretRef.Name != "" {
		m.CAFile = gitcdTLSDir + "/" + forgeCA
	}
	if s := forge.PushIntervalSeconds; s != nil {
		m.PushInterval.Duration = time.Duration(*s) * time.Second
	}
	return m
}

// hooksConfig is nil if nobody is to listen. It always speaks TLS.
func hooksConfig(r *heavenv1.GitRepository) *gitcdv1.Hooks {
	hook := webhook(r)
	if hook == nil {
		return nil
	}
	cert, key := certHub+".crt", certHub+".key"
	if hook.ServingSecretRef.Name != "" {
		cert, key = hookCert, hookKey
	}
	return &gitcdv1.Hooks{
		Listen:     fmt.Sprintf("0.0.0.0:%d", heavenv1.HooksPort),
		SecretFile: gitcdTLSDir + "/" + hookSecret,
		CertFile:   gitcdTLSDir + "/" + cert, KeyFile: gitcdTLSDir + "/" + key,
	}
}

// ForgeSecrets are the Secrets that a hub mounts to reach its forge, and to be reached by it.
func ForgeSecrets(r *heavenv1.GitRepository) []MountedSecret {
	forge := gitForge(r)
	if forge == nil {
		return nil
	}
	var out []MountedSecret
	add := func(ref heavenv1.LocalReference, what string, keys ...string) {
		if ref.Name != "" {
			out = append(out, MountedSecret{Name: ref.Name, For: what, Keys: keys})
		}
	}
	add(forge.CredentialsSecretRef, "the forge's credentials", "username", forgeUsername, "password", forgePassword)
	add(forge.CASecretRef, "the forge's authorities", "ca.crt", forgeCA)
	if hook := webhook(r); hook != nil {
		add(hook.SecretRef, "the forge's webhooks", "secret", hookSecret)
		add(hook.ServingSecretRef, "the certificate that webhooks see", "tls.crt", hookCert, "tls.key", hookKey)
	}
	return out
}

// forgeVolumes mount them.
func forgeVolumes(r *heavenv1.GitRepository) []corev1.VolumeProjection {
	var out []corev1.VolumeProjection
	for _, s := range ForgeSecrets(r) {
		out = append(out, projectSecret(s.Name, s.Keys...))
	}
	return out
}

// hooksServicePort is the port of the hub's Service that forges call; nil if nobody is to listen.
func hooksServicePort(r *heavenv1.GitRepository) *corev1.ServicePort {
	hook := webhook(r)
	if hook == nil {
		return nil
	}
	return &corev1.ServicePort{
		Name: hooksPort, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(heavenv1.HooksPort),
		Port: cmp.Or(hook.Port, heavenv1.HooksPort), NodePort: hook.NodePort,
	}
}

// WebhookURL is what a forge is told to call; empty if nobody listens, or if the hub's Service has no address yet.
func WebhookURL(r *heavenv1.GitRepository, s *corev1.Service, l Location) string {
	hook := webhook(r)
	if hook == nil {
		return ""
	}
	if hook.ExternalURL != "" {
		return hook.ExternalURL
	}
	for _, port := range s.Spec.Ports {
		number := port.Port
		if s.Spec.Type == corev1.ServiceTypeNodePort {
			number = port.NodePort
		}
		if port.Name == hooksPort && number != 0 && l.External.Host != "" {
			return "https://" + net.JoinHostPort(l.External.Host, strconv.Itoa(int(number))) + "/hooks"
		}
	}
	return ""
}
