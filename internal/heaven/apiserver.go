// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

const apiServerName = "kube-apiserver"

// apiServer is the kube-apiserver container of a heaven that is reached at endpoint.
func apiServer(h *heavenv1.TrishankuHeaven, endpoint heavenv1.Endpoint) (corev1.Container, error) {
	if err := CheckAPIServerArgs(h.Spec.APIServer.ExtraArgs); err != nil {
		return corev1.Container{}, err
	}
	return corev1.Container{
		Name:            apiServerName,
		Image:           apiServerImage(h.Spec.Images, h.Spec.Version),
		ImagePullPolicy: pullPolicy(h.Spec.Images),
		Command:         commandLine(apiServerName, apiServerArgs(h, endpoint), h.Spec.APIServer.ExtraArgs),
		Env: []corev1.EnvVar{{Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{
			FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "status.podIP"},
		}}},
		Ports:     []corev1.ContainerPort{{Name: "https", ContainerPort: heavenv1.APIServerPort, Protocol: corev1.ProtocolTCP}},
		Resources: orRequests(h.Spec.APIServer.Resources, "50m", "192Mi"),
		// The component begins when this probe succeeds: kube-controller-manager exits for good when it starts before the
		// bootstrap roles exist.
		StartupProbe:             httpsProbe("/readyz", heavenv1.APIServerPort, 1, 300),
		ReadinessProbe:           httpsProbe("/readyz", heavenv1.APIServerPort, 5, 3),
		LivenessProbe:            httpsProbe("/livez", heavenv1.APIServerPort, 10, 8),
		SecurityContext:          restricted(),
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		VolumeMounts: []corev1.VolumeMount{
			mount(volumeAPIServerPKI, apiServerDir),
			mount(volumeSockets, socketDir),
		},
	}, nil
}

// apiServerArgs are the flags that make a kube-apiserver one of many that share a cluster but no store.
func apiServerArgs(h *heavenv1.TrishankuHeaven, endpoint heavenv1.Endpoint) []heavenv1.Argument {
	file := func(name string) string { return apiServerDir + "/" + name }
	spec := h.Spec.APIServer
	issuer := cmp.Or(spec.ServiceAccountIssuer, Network{ServiceDomain: DefaultServiceDomain}.Issuer())
	args := []heavenv1.Argument{
		{Name: "advertise-address", Value: advertised(endpoint)},
		{Name: "allow-privileged", Value: "true"},
		{Name: "api-audiences", Value: strings.Join(append([]string{issuer}, spec.Audiences...), ",")},
		{Name: "authentication-config", Value: file(authenticationKey)},
		{Name: "authorization-mode", Value: "Node,RBAC"},
		{Name: "bind-address", Value: "0.0.0.0"},
		{Name: "client-ca-file", Value: file("ca.crt")},
		{Name: "enable-admission-plugins", Value: "NodeRestriction"},
		{Name: "encryption-provider-config", Value: file("encryption.yaml")},
		{Name: "endpoint-reconciler-type", Value: endpointReconciler(spec.EndpointReconciler)},
		{Name: "etcd-servers", Value: gitcdSocket},
		{Name: "etcd-servers-overrides", Value: "/events#" + eventsSocket},
		{Name: "kubelet-certificate-authority", Value: file("ca.crt")},
		{Name: "kubelet-client-certificate", Value: file(certKubelet + ".crt")},
		{Name: "kubelet-client-key", Value: file(certKubelet + ".key")},
		{Name: "kubelet-preferred-address-types", Value: "InternalIP,ExternalIP,Hostname"},
		{Name: "profiling", Value: "false"},
		{Name: "proxy-client-cert-file", Value: file(certFrontProxy + ".crt")},
		{Name: "proxy-client-key-file", Value: file(certFrontProxy + ".key")},
		{Name: "requestheader-allowed-names", Value: frontProxyName},
		{Name: "requestheader-client-ca-file", Value: file("front-proxy-ca.crt")},
		{Name: "requestheader-extra-headers-prefix", Value: "X-Remote-Extra-"},
		{Name: "requestheader-group-headers", Value: "X-Remote-Group"},
		{Name: "requestheader-username-headers", Value: "X-Remote-User"},
		{Name: "secure-port", Value: strconv.Itoa(int(heavenv1.APIServerPort))},
		{Name: "service-account-issuer", Value: issuer},
		{Name: "service-account-key-file", Value: file("sa.pub")},
		{Name: "service-account-signing-key-file", Value: file("sa.key")},
		{Name: "service-cluster-ip-range", Value: strings.Join(serviceCIDRs(h), ",")},
		{Name: "storage-media-type", Value: "application/json"},
		{Name: "tls-cert-file", Value: file(certAPIServer + ".crt")},
		{Name: "tls-private-key-file", Value: file(certAPIServer + ".key")},
	}
	return args
}

// advertised is what this API server writes into the endpoints of Service default/kubernetes: an address that outlives
// the pod if there is one with the right port, since the port is always that of the API server itself.
func advertised(endpoint heavenv1.Endpoint) string {
	if net.ParseIP(endpoint.Host) != nil && endpoint.Port == heavenv1.APIServerPort {
		return endpoint.Host
	}
	return "$(POD_IP)"
}

func endpointReconciler(r heavenv1.EndpointReconciler) string {
	if r == heavenv1.EndpointReconcilerLease {
		return "lease"
	}
	return "none"
}

// apiServerVolume is everything that kube-apiserver reads, in one directory.
func apiServerVolume(h *heavenv1.TrishankuHeaven) corev1.Volume {
	names := SecretNames(h)
	return projected(volumeAPIServerPKI,
		projectSecret(CertificatesName(h.Name),
			certAPIServer+".crt", certAPIServer+".crt", certAPIServer+".key", certAPIServer+".key",
			certKubelet+".crt", certKubelet+".crt", certKubelet+".key", certKubelet+".key",
			certFrontProxy+".crt", certFrontProxy+".crt", certFrontProxy+".key", certFrontProxy+".key"),
		projectSecret(names.ClusterCA, "tls.crt", "ca.crt"),
		projectSecret(names.FrontProxyCA, "tls.crt", "front-proxy-ca.crt"),
		projectSecret(names.ServiceAccount, "tls.crt", "sa.pub", "tls.key", "sa.key"),
		projectSecret(names.Encryption, "config.yaml", "encryption.yaml"),
		projectConfig(h.Name, authenticationKey),
	)
}
