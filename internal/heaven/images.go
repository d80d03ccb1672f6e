// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

const (
	kubernetesRegistry = "registry.k8s.io"
	gitcdRepository    = "ghcr.io/trishanku-org/gitcd"

	// GitcdVersion is the version of gitcd that goes with this provider.
	GitcdVersion = "v0.1.0"
)

func gitcdImage(i heavenv1.Images) string {
	return image(i, i.Gitcd, gitcdRepository, GitcdVersion)
}

func apiServerImage(i heavenv1.Images, version string) string {
	return image(i, i.KubeAPIServer, kubernetesRegistry+"/kube-apiserver", version)
}

func controllerManagerImage(i heavenv1.Images, version string) string {
	return image(i, i.KubeControllerManager, kubernetesRegistry+"/"+controllerManager, version)
}

func schedulerImage(i heavenv1.Images, version string) string {
	return image(i, i.KubeScheduler, kubernetesRegistry+"/"+scheduler, version)
}

// image goes by the most specific override: the image's own, then the registry of all, then the official name.
func image(all heavenv1.Images, own heavenv1.ImageReference, repository, tag string) string {
	if all.Registry != "" {
		repository = strings.TrimSuffix(all.Registry, "/") + "/" + path.Base(repository)
	}
	// A build such as v1.36.3+k3s1 has a plus sign, which no tag can have.
	return cmp.Or(own.Repository, repository) + ":" + cmp.Or(own.Tag, strings.ReplaceAll(tag, "+", "_"))
}

func pullPolicy(i heavenv1.Images) corev1.PullPolicy {
	return cmp.Or(i.PullPolicy, corev1.PullIfNotPresent)
}

func pullSecrets(i heavenv1.Images) []corev1.LocalObjectReference {
	secrets := make([]corev1.LocalObjectReference, 0, len(i.PullSecrets))
	for _, s := range i.PullSecrets {
		secrets = append(secrets, corev1.LocalObjectReference{Name: s.Name})
	}
	return secrets
}
