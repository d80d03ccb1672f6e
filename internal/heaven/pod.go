// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// stopSeconds are for the whole pod: the component and kube-apiserver stop within a few, gitcd has the rest for its
// last push.
const stopSeconds int64 = 60

// Input is what the objects of a heaven are computed from.
type Input struct {
	Heaven *heavenv1.TrishankuHeaven
	// Endpoint is where the front door is reached; empty for all others.
	Endpoint heavenv1.Endpoint
	// Mounted is the content of the Secrets that the pod mounts.
	Mounted Content
	// Claim is the claim that exists already, nil if none.
	Claim *corev1.PersistentVolumeClaim
}

// Service of a heaven, nil for those that nobody calls from outside. It comes first: its address is in certificates and
// flags.
func Service(h *heavenv1.TrishankuHeaven) *corev1.Service {
	if h.Spec.APIServer.Service == nil {
		return nil
	}
	template := *h.Spec.APIServer.Service
	template.Type = cmp.Or(template.Type, corev1.ServiceTypeClusterIP)
	template.Port = cmp.Or(template.Port, heavenv1.APIServerPort)
	labels := Labels(h)
	return service(objectMeta(h.Namespace, h.Name, labels), template, selector(labels, heavenv1.HeavenLabel), heavenv1.APIServerPort)
}

// ObjectsOf computes everything that a heaven is made of in the host cluster.
func ObjectsOf(in Input) (Objects, error) {
	h, labels := in.Heaven, Labels(in.Heaven)
	config, err := gitcdConfig(h)
	if err != nil {
		return Objects{}, fmt.Errorf("compute heaven %s: %w", h.Name, err)
	}
	data := map[string]string{configKey: config, authenticationKey: authenticationConfig(h.Spec.Version)}
	o := Objects{
		ConfigMap: configMap(objectMeta(h.Namespace, h.Name, labels), data),
		Claim:     claim(objectMeta(h.Namespace, h.Name, labels), h.Spec.Storage, defaultHeavenStorage, in.Claim),
		Service:   Service(h),
	}
	pod, err := heavenPod(h, in.Endpoint, o.Claim)
	if err != nil {
		return Objects{}, fmt.Errorf("compute heaven %s: %w", h.Name, err)
	}
	maps.Copy(pod.Labels, labels)
	pod.Annotations[DigestAnnotation] = in.Mounted.digest(data)
	o.Deployment = deployment(objectMeta(h.Namespace, h.Name, labels), selector(labels, heavenv1.HeavenLabel), pod)
	return o, nil
}

// heavenPod lays the heaven's own containers and volumes over the component's.
func heavenPod(h *heavenv1.TrishankuHeaven, endpoint heavenv1.Endpoint, claim *corev1.PersistentVolumeClaim) (corev1.PodTemplateSpec, error) {
	server, err := apiServer(h, endpoint)
	if err != nil {
		return corev1.PodTemplateSpec{}, err
	}
	initialize, serve := gitcdContainers(h)
	serve.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	volumes := append(gitcdVolumes(h, claim), apiServerVolume(h))
	if h.Spec.Component == nil {
		return podTemplate(corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{initialize, serve},
			Containers:     []corev1.Container{server},
			Volumes:        volumes,
		}}, h.Spec.Images), nil
	}
	pod := *h.Spec.Component.Template.DeepCopy()
	if err := checkReserved(h.Spec.Component.Name, pod.Spec); err != nil {
		return corev1.PodTemplateSpec{}, err
	}
	addKubeconfig(&pod.Spec, cmp.Or(h.Spec.Component.Kubeconfig.Path, DefaultKubeconfigPath))
	// A side container that begins before the component and ends after it.
	server.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	pod.Spec.InitContainers = append([]corev1.Container{initialize, serve, server}, pod.Spec.InitContainers...)
	pod.Spec.Volumes = append(append(volumes, kubeconfigVolume(h)), pod.Spec.Volumes...)
	return podTemplate(pod, h.Spec.Images), nil
}

// podTemplate fills in what every pod of a control plane has. What a component's template says already stays.
func podTemplate(pod corev1.PodTemplateSpec, images heavenv1.Images) corev1.PodTemplateSpec {
	pod.Labels, pod.Annotations = orEmpty(pod.Labels), orEmpty(pod.Annotations)
	spec := &pod.Spec
	if spec.AutomountServiceAccountToken == nil {
		// Its API server is the one beside it: the host's is none of its business.
		spec.AutomountServiceAccountToken = new(false)
	}
	if spec.EnableServiceLinks == nil {
		spec.EnableServiceLinks = new(false)
	}
	if spec.TerminationGracePeriodSeconds == nil {
		spec.TerminationGracePeriodSeconds = new(stopSeconds)
	}
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{
			RunAsNonRoot:   new(true),
			RunAsUser:      new(nobody),
			RunAsGroup:     new(nobody),
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}
	}
	if spec.SecurityContext.FSGroup == nil {
		spec.SecurityContext.FSGroup = new(nobody)
		// Walking a repository at every start takes the longer the older it is.
		spec.SecurityContext.FSGroupChangePolicy = new(corev1.FSGroupChangeOnRootMismatch)
	}
	spec.ImagePullSecrets = append(spec.ImagePullSecrets, pullSecrets(images)...)
	return pod
}

// addKubeconfig mounts the one file into the component's own containers, so that nothing beside it is hidden.
func addKubeconfig(pod *corev1.PodSpec, file string) {
	m := corev1.VolumeMount{Name: volumeKubeconfig, MountPath: file, SubPath: path.Base(file), ReadOnly: true}
	for i := range pod.Containers {
		pod.Containers[i].VolumeMounts = append(pod.Containers[i].VolumeMounts, m)
	}
	for i := range pod.InitContainers {
		pod.InitContainers[i].VolumeMounts = append(pod.InitContainers[i].VolumeMounts, m)
	}
}

func kubeconfigVolume(h *heavenv1.TrishankuHeaven) corev1.Volume {
	file := path.Base(cmp.Or(h.Spec.Component.Kubeconfig.Path, DefaultKubeconfigPath))
	return corev1.Volume{Name: volumeKubeconfig, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName:  CertificatesName(h.Name),
		DefaultMode: new(fileMode),
		Items:       []corev1.KeyToPath{{Key: certComponent + ".conf", Path: file}},
	}}}
}

// reserved are the beginnings of the names of the heaven's own containers and volumes.
var reserved = []string{gitcdName, apiServerName}

func checkReserved(component string, pod corev1.PodSpec) error {
	if len(pod.Containers) == 0 {
		return fmt.Errorf("add component %s: its template has no containers; write the component's container there", component)
	}
	var names []string
	for _, c := range append(append([]corev1.Container{}, pod.InitContainers...), pod.Containers...) {
		names = append(names, c.Name)
	}
	for _, v := range pod.Volumes {
		names = append(names, v.Name)
	}
	for _, name := range names {
		for _, r := range reserved {
			if strings.HasPrefix(name, r) {
				return fmt.Errorf("add component %s: names that begin with %q are the heaven's own; rename %q in its template", component, r, name)
			}
		}
	}
	return nil
}

func selector(labels map[string]string, key string) map[string]string {
	return map[string]string{key: labels[key]}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
