// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	corev1 "k8s.io/api/core/v1"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// Containers of gitcd.
const (
	gitcdInitName = "gitcd-init"
	gitcdName     = "gitcd"
	hubName       = "hub"
)

// gitcd is a container that runs one of gitcd's commands.
func gitcd(name, command string, images heavenv1.Images, resources corev1.ResourceRequirements) corev1.Container {
	return corev1.Container{
		Name:                     name,
		Image:                    gitcdImage(images),
		ImagePullPolicy:          pullPolicy(images),
		Command:                  []string{"gitcd", command, "--config", configPath},
		Resources:                orRequests(resources, "20m", "48Mi"),
		SecurityContext:          restricted(),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		VolumeMounts: []corev1.VolumeMount{
			mount(volumeConfig, configDir),
			mountWritable(volumeRepository, repositoryDir),
			mount(volumeTLS, gitcdTLSDir),
		},
	}
}

// gitcdContainers are the first two containers of a heaven.
func gitcdContainers(h *heavenv1.TrishankuHeaven) (initialize, serve corev1.Container) {
	initialize = gitcd(gitcdInitName, "init", h.Spec.Images, h.Spec.Gitcd.Resources)
	serve = gitcd(gitcdName, "serve", h.Spec.Images, h.Spec.Gitcd.Resources)
	serve.VolumeMounts = append(serve.VolumeMounts, mountWritable(volumeSockets, socketDir))
	// gitcd listens where no probe of the kubelet reaches it, so it is asked from inside.
	serve.StartupProbe = &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"gitcd", "status", "--address", statusListen}}},
		PeriodSeconds:    1,
		FailureThreshold: 600,
		SuccessThreshold: 1,
		TimeoutSeconds:   10,
	}
	return initialize, serve
}

// gitcdVolumes are the volumes of gitcd in a heaven.
func gitcdVolumes(h *heavenv1.TrishankuHeaven, claim *corev1.PersistentVolumeClaim) []corev1.Volume {
	names := SecretNames(h)
	return []corev1.Volume{
		repositoryVolume(claim, h.Spec.Storage),
		configVolume(h.Name),
		projected(volumeTLS,
			projectSecret(CertificatesName(h.Name), certHubClient+".crt", certHubClient+".crt", certHubClient+".key", certHubClient+".key"),
			projectSecret(names.GitCA, "tls.crt", "git-ca.crt"),
			projectSecret(names.ClusterCA, "tls.crt", "ca.crt"),
		),
		{Name: volumeSockets, VolumeSource: corev1.VolumeSource{
			EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory},
		}},
	}
}

func configVolume(configMap string) corev1.Volume {
	return projected(volumeConfig, projectConfig(configMap, configKey))
}
