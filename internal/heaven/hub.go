// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// HubInput is what the objects of a hub are computed from.
type HubInput struct {
	Merge *heavenv1.AutomatedMerge
	// Heavens are those of the merge's cluster: what one says of its branch is the hub's to keep.
	Heavens []heavenv1.TrishankuHeaven
	// Repository says which forge the hub mirrors to. Nil: none.
	Repository *heavenv1.GitRepository
	// Claim is the claim that exists already, nil if none.
	Claim *corev1.PersistentVolumeClaim
}

// HubService of an AutomatedMerge. It comes first: its address is in the hub's certificate.
func HubService(in HubInput) (*corev1.Service, error) {
	m := in.Merge
	template := m.Spec.Service
	template.Type = cmp.Or(template.Type, corev1.ServiceTypeNodePort)
	template.Port = cmp.Or(template.Port, heavenv1.HubPort)
	labels := MergeLabels(m)
	s := service(objectMeta(m.Namespace, HubName(m.Name), labels), template, selector(labels, heavenv1.MergeLabel), heavenv1.HubPort)
	if hooks := hooksServicePort(in.Repository); hooks != nil {
		if hooks.Port == template.Port {
			return nil, fmt.Errorf("expose hub of merge %s: port %d is asked for by both the hub's Service and the webhook of GitRepository %s; write another webhook.port",
				m.Name, hooks.Port, in.Repository.Name)
		}
		s.Spec.Ports = append(s.Spec.Ports, *hooks)
	}
	return s, nil
}

// HubObjects computes everything that a hub is made of in the host cluster.
func HubObjects(in HubInput) (Objects, error) {
	m, labels, name := in.Merge, MergeLabels(in.Merge), HubName(in.Merge.Name)
	config, err := render(hubFile(in))
	if err != nil {
		return Objects{}, fmt.Errorf("compute hub of merge %s: %w", m.Name, err)
	}
	service, err := HubService(in)
	if err != nil {
		return Objects{}, err
	}
	data := map[string]string{configKey: config}
	o := Objects{
		ConfigMap: configMap(objectMeta(m.Namespace, name, labels), data),
		Claim:     claim(objectMeta(m.Namespace, name, labels), m.Spec.Storage, defaultHubStorage, in.Claim),
		Service:   service,
	}
	secrets := append([]corev1.VolumeProjection{
		projectSecret(HubCertificatesName(m.Name), certHub+".crt", certHub+".crt", certHub+".key", certHub+".key"),
		projectSecret(HubAuthority(m), "tls.crt", "git-ca.crt"),
	}, forgeVolumes(in.Repository)...)
	pod := podTemplate(corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		Containers: []corev1.Container{hub(in)},
		Volumes: []corev1.Volume{
			repositoryVolume(o.Claim, m.Spec.Storage),
			configVolume(name),
			projected(volumeTLS, secrets...),
		},
	}}, m.Spec.Images)
	maps.Copy(pod.Labels, labels)
	// Certificates are no part of the digest: gitcd reads them again when they change.
	pod.Annotations[DigestAnnotation] = Content{}.digest(data)
	o.Deployment = deployment(objectMeta(m.Namespace, name, labels), selector(labels, heavenv1.MergeLabel), pod)
	return o, nil
}

func hub(in HubInput) corev1.Container {
	c := gitcd(hubName, "hub", in.Merge.Spec.Images, in.Merge.Spec.Resources)
	c.Ports = []corev1.ContainerPort{{Name: "https", ContainerPort: heavenv1.HubPort, Protocol: corev1.ProtocolTCP}}
	if webhook(in.Repository) != nil {
		c.Ports = append(c.Ports, corev1.ContainerPort{Name: hooksPort, ContainerPort: heavenv1.HooksPort, Protocol: corev1.ProtocolTCP})
	}
	// The kubelet has no certificate to show, so it only knocks.
	knock := func(period, failures int32) *corev1.Probe {
		return &corev1.Probe{
			ProbeHandler:     corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(heavenv1.HubPort)}},
			PeriodSeconds:    period,
			FailureThreshold: failures,
			SuccessThreshold: 1,
			TimeoutSeconds:   5,
		}
	}
	c.StartupProbe, c.ReadinessProbe, c.LivenessProbe = knock(1, 600), knock(5, 3), knock(20, 6)
	return c
}
