// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// DigestAnnotation is on each pod: the digest of everything that is mounted in it.
const DigestAnnotation = "heaven.trishanku.org/content-digest"

// Objects are what a heaven or a hub is made of in the host cluster. Claim is nil when the storage is an emptyDir,
// Service when nobody outside the pod calls.
type Objects struct {
	ConfigMap  *corev1.ConfigMap
	Claim      *corev1.PersistentVolumeClaim
	Service    *corev1.Service
	Deployment *appsv1.Deployment
}

// Content is what Secrets hold that pods mount: Secret name, key, value.
type Content map[string]map[string][]byte

// digest is equal for equal content, whatever order it was gathered in.
func (c Content) digest(config map[string]string) string {
	hash := sha256.New()
	write := func(part []byte) {
		// The length comes first, so that no two contents run together into the same bytes.
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		hash.Write(part)
	}
	for _, key := range slices.Sorted(maps.Keys(config)) {
		write([]byte(key))
		write([]byte(config[key]))
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		write([]byte(name))
		for _, key := range slices.Sorted(maps.Keys(c[name])) {
			write([]byte(key))
			write(c[name][key])
		}
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

func objectMeta(namespace, name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: maps.Clone(labels)}
}

func configMap(meta metav1.ObjectMeta, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: meta,
		Data:       data,
	}
}

func service(meta metav1.ObjectMeta, t heavenv1.ServiceTemplate, selector map[string]string, target int32) *corev1.Service {
	meta.Annotations = maps.Clone(t.Annotations)
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta,
		Spec: corev1.ServiceSpec{
			Type:     t.Type,
			Selector: selector,
			Ports: []corev1.ServicePort{{
				Name: "https", Protocol: corev1.ProtocolTCP, Port: t.Port, TargetPort: intstr.FromInt32(target), NodePort: t.NodePort,
			}},
		},
	}
}

// deployment runs one pod, and never two at a time: a branch has one writer, a volume one mount.
func deployment(meta metav1.ObjectMeta, selector map[string]string, pod corev1.PodTemplateSpec) *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas:             new(int32(1)),
			RevisionHistoryLimit: new(int32(2)),
			Selector:             &metav1.LabelSelector{MatchLabels: selector},
			Strategy:             appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType},
			Template:             pod,
		},
	}
}
