// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/cluster-api/util/secret"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

const (
	// DefaultKubeconfigPath is where a component finds its kubeconfig unless its heaven says otherwise.
	DefaultKubeconfigPath = "/etc/trishanku/kubeconfig"

	controllerManagerPort int32 = 10257
	schedulerPort         int32 = 10259

	// nodeGrace is how long a node's heartbeat may stay away. A heartbeat travels by Git, lazily and in company, so the
	// time is longer than in a cluster with one API server.
	nodeGrace = "2m0s"

	controllerManagerKeys = "/etc/kubernetes/pki"
)

func controllerManagerComponent(cluster string, n Network, hcp *controlplanev1.HeadlessControlPlane, version string) *heavenv1.HeavenComponent {
	spec := hcp.Spec.Components.ControllerManager
	names := pki.DefaultNames(cluster)
	args := append(kubeconfigArgs(controllerManagerPort), []heavenv1.Argument{
		{Name: "allocate-node-cidrs", Value: "true"},
		{Name: "cluster-cidr", Value: strings.Join(n.PodCIDRs, ",")},
		{Name: "cluster-name", Value: cluster},
		{Name: "cluster-signing-cert-file", Value: controllerManagerKeys + "/ca.crt"},
		{Name: "cluster-signing-key-file", Value: controllerManagerKeys + "/ca.key"},
		{Name: "node-monitor-grace-period", Value: nodeGrace},
		{Name: "root-ca-file", Value: controllerManagerKeys + "/ca.crt"},
		{Name: "service-account-private-key-file", Value: controllerManagerKeys + "/sa.key"},
		{Name: "service-cluster-ip-range", Value: strings.Join(n.ServiceCIDRs, ",")},
		{Name: "use-service-account-credentials", Value: "true"},
	}...)
	container := kubernetesContainer(controllerManager, controllerManagerImage(hcp.Spec.Images, version), controllerManagerPort)
	container.Command = commandLine(controllerManager, args, spec.ExtraArgs)
	container.ImagePullPolicy = pullPolicy(hcp.Spec.Images)
	container.Resources = orRequests(spec.Resources, "20m", "64Mi")
	container.VolumeMounts = []corev1.VolumeMount{{Name: "cluster-keys", MountPath: controllerManagerKeys, ReadOnly: true}}
	return component(controllerManager, container, corev1.Volume{
		Name: "cluster-keys",
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			DefaultMode: new(fileMode),
			Sources: []corev1.VolumeProjection{
				projectSecret(names.ClusterCA, secret.TLSCrtDataName, "ca.crt", secret.TLSKeyDataName, "ca.key"),
				projectSecret(names.ServiceAccount, secret.TLSKeyDataName, "sa.key"),
			},
		}},
	})
}

func schedulerComponent(hcp *controlplanev1.HeadlessControlPlane, version string) *heavenv1.HeavenComponent {
	spec := hcp.Spec.Components.Scheduler
	container := kubernetesContainer(scheduler, schedulerImage(hcp.Spec.Images, version), schedulerPort)
	container.Command = commandLine(scheduler, kubeconfigArgs(schedulerPort), spec.ExtraArgs)
	container.ImagePullPolicy = pullPolicy(hcp.Spec.Images)
	container.Resources = orRequests(spec.Resources, "10m", "48Mi")
	return component(scheduler, container)
}

func additionalComponent(a controlplanev1.AdditionalComponent) *heavenv1.HeavenComponent {
	return &heavenv1.HeavenComponent{
		Name:     a.Name,
		Template: *a.Template.DeepCopy(),
		Kubeconfig: heavenv1.ComponentKubeconfig{
			Path:   cmp.Or(a.Kubeconfig.Path, DefaultKubeconfigPath),
			User:   cmp.Or(a.Kubeconfig.User, "headless:"+a.Name),
			Groups: a.Kubeconfig.Groups,
		},
	}
}

// component makes one of Kubernetes' own, whose user name is system:<name>.
func component(name string, container corev1.Container, volumes ...corev1.Volume) *heavenv1.HeavenComponent {
	return &heavenv1.HeavenComponent{
		Name: name,
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			Containers: []corev1.Container{container},
			Volumes:    volumes,
		}},
		Kubeconfig: heavenv1.ComponentKubeconfig{Path: DefaultKubeconfigPath, User: "system:" + name},
	}
}

// kubeconfigArgs are the flags of every component of Kubernetes. Nothing is elected: the branch has one writer already.
func kubeconfigArgs(port int32) []heavenv1.Argument {
	return []heavenv1.Argument{
		{Name: "kubeconfig", Value: DefaultKubeconfigPath},
		{Name: "authentication-kubeconfig", Value: DefaultKubeconfigPath},
		{Name: "authorization-kubeconfig", Value: DefaultKubeconfigPath},
		{Name: "bind-address", Value: "0.0.0.0"},
		{Name: "secure-port", Value: strconv.Itoa(int(port))},
		{Name: "leader-elect", Value: "false"},
		{Name: "profiling", Value: "false"},
	}
}

func kubernetesContainer(name, image string, port int32) corev1.Container {
	return corev1.Container{
		Name:  name,
		Image: image,
		// A start is noticed within a second; a component is not restarted before it was silent for over a minute.
		StartupProbe:             httpsProbe("/healthz", port, 1, 120),
		ReadinessProbe:           httpsProbe("/healthz", port, 5, 3),
		LivenessProbe:            httpsProbe("/healthz", port, 10, 8),
		SecurityContext:          restricted(),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

func httpsProbe(path string, port, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromInt32(port), Scheme: corev1.URISchemeHTTPS,
		}},
		PeriodSeconds:    period,
		FailureThreshold: failures,
		SuccessThreshold: 1,
		TimeoutSeconds:   10,
	}
}

// orRequests gives a container small requests when the user gives none: a whole cluster fits a machine of two cores.
func orRequests(users corev1.ResourceRequirements, cpu, memory string) corev1.ResourceRequirements {
	if len(users.Requests) > 0 || len(users.Limits) > 0 || len(users.Claims) > 0 {
		return *users.DeepCopy()
	}
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse(cpu),
		corev1.ResourceMemory: resource.MustParse(memory),
	}}
}

// restricted is what the Pod Security Standard of that name asks of a container.
func restricted() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		ReadOnlyRootFilesystem:   new(true),
		RunAsNonRoot:             new(true),
	}
}
