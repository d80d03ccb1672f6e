// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// Where things lie in the pods of heavens and hubs.
const (
	configDir      = "/etc/gitcd"
	configPath     = configDir + "/config.yaml"
	gitcdTLSDir    = "/etc/gitcd-tls"
	repositoryDir  = "/var/lib/gitcd"
	repositoryPath = repositoryDir + "/repository"
	socketDir      = "/run/gitcd"
	gitcdSocket    = "unix://" + socketDir + "/gitcd.sock"
	eventsSocket   = "unix://" + socketDir + "/events.sock"
	apiServerDir   = "/etc/kubernetes/kube-apiserver"
)

// Volumes of the pods. Their names are the heaven's own: see reserved.
const (
	volumeRepository   = "gitcd-repository"
	volumeConfig       = "gitcd-config"
	volumeTLS          = "gitcd-tls"
	volumeSockets      = "gitcd-sockets"
	volumeKubeconfig   = "gitcd-kubeconfig"
	volumeAPIServerPKI = "kube-apiserver-pki"
)

// Keys of the ConfigMap.
const (
	configKey         = "config.yaml"
	authenticationKey = "authentication.yaml"
)

const (
	// nobody is the user that all containers run as, the "nonroot" of images without a distribution.
	nobody int64 = 65532

	// fileMode of everything that is mounted: readable by the pod's group, which is all that its processes have.
	fileMode int32 = 0o440

	defaultHeavenStorage = "2Gi"
	defaultHubStorage    = "5Gi"
)

// projectSecret mounts the named keys of a Secret under other names, in pairs.
func projectSecret(name string, keysAndPaths ...string) corev1.VolumeProjection {
	p := &corev1.SecretProjection{LocalObjectReference: corev1.LocalObjectReference{Name: name}}
	for i := 0; i+1 < len(keysAndPaths); i += 2 {
		p.Items = append(p.Items, corev1.KeyToPath{Key: keysAndPaths[i], Path: keysAndPaths[i+1]})
	}
	return corev1.VolumeProjection{Secret: p}
}

func projectConfig(name, key string) corev1.VolumeProjection {
	return corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: name},
		Items:                []corev1.KeyToPath{{Key: key, Path: key}},
	}}
}

func projected(name string, sources ...corev1.VolumeProjection) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{DefaultMode: new(fileMode), Sources: sources},
	}}
}

// claim is the PersistentVolumeClaim of a repository; nil when its storage is an emptyDir. A claim that exists keeps
// its class and never shrinks, since neither is possible.
func claim(meta metav1.ObjectMeta, storage *heavenv1.Storage, size string, have *corev1.PersistentVolumeClaim) *corev1.PersistentVolumeClaim {
	if storage != nil && storage.EmptyDir != nil {
		return nil
	}
	want := heavenv1.PersistentVolumeClaimStorage{}
	if storage != nil && storage.PersistentVolumeClaim != nil {
		want = *storage.PersistentVolumeClaim.DeepCopy()
	}
	if want.Size.IsZero() {
		want.Size = resource.MustParse(size)
	}
	if have != nil {
		want.StorageClassName = have.Spec.StorageClassName
		if now := have.Spec.Resources.Requests[corev1.ResourceStorage]; now.Cmp(want.Size) > 0 {
			want.Size = now
		}
	}
	return &corev1.PersistentVolumeClaim{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "PersistentVolumeClaim"},
		ObjectMeta: meta,
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: want.StorageClassName,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: want.Size},
			},
		},
	}
}

func repositoryVolume(claim *corev1.PersistentVolumeClaim, storage *heavenv1.Storage) corev1.Volume {
	if claim != nil {
		return corev1.Volume{Name: volumeRepository, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name},
		}}
	}
	return corev1.Volume{Name: volumeRepository, VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: storage.EmptyDir.SizeLimit},
	}}
}

func mount(volume, path string) corev1.VolumeMount {
	return corev1.VolumeMount{Name: volume, MountPath: path, ReadOnly: true}
}

func mountWritable(volume, path string) corev1.VolumeMount {
	return corev1.VolumeMount{Name: volume, MountPath: path}
}
