// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// The files that a forge's Secrets become in a hub's pod, beside the certificates.
const (
	forgeUsername = "forge-username"
	forgePassword = "forge-password"
	forgeCA       = "forge-ca.crt"
)

// gitForge returns what a repository says of its forge, nil if it has none that is mirrored to.
func gitForge(r *heavenv1.GitRepository) *heavenv1.GitForge {
	if r == nil || r.Spec.Forge.Type != heavenv1.ForgeGit {
		return nil
	}
	return r.Spec.Forge.Git
}

// mirrorConfig is what a hub mirrors to, nil if nothing.
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

// forgeSecrets are projected into the hub's pod. They rotate without a restart.
func forgeSecrets(r *heavenv1.GitRepository) []corev1.VolumeProjection {
	forge := gitForge(r)
	if forge == nil {
		return nil
	}
	var out []corev1.VolumeProjection
	if name := forge.CredentialsSecretRef.Name; name != "" {
		out = append(out, projectSecret(name, "username", forgeUsername, "password", forgePassword))
	}
	if name := forge.CASecretRef.Name; name != "" {
		out = append(out, projectSecret(name, "ca.crt", forgeCA))
	}
	return out
}
