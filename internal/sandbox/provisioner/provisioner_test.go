// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package provisioner

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func TestAVolumeComesAndGoes(t *testing.T) {
	p := &HostPath{Root: t.TempDir(), Node: "one"}
	policy := corev1.PersistentVolumeReclaimDelete
	claim := &corev1.PersistentVolumeClaim{}
	claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	v, _, err := p.Provision(t.Context(), controller.ProvisionOptions{
		PVName: "pvc-1", PVC: claim, StorageClass: &storagev1.StorageClass{ReclaimPolicy: &policy},
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(v.Spec.HostPath.Path)
	if err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("the volume is %v (%v), want a directory that any user can write", info, err)
	}
	if got := v.Spec.NodeAffinity.Required.NodeSelectorTerms[0].MatchExpressions[0].Values; len(got) != 1 || got[0] != "one" {
		t.Errorf("the volume belongs to %v, want its node", got)
	}
	if err := p.Delete(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(v.Spec.HostPath.Path); err == nil {
		t.Error("the volume is still there")
	}
}

func TestNothingElseIsRemoved(t *testing.T) {
	p := &HostPath{Root: t.TempDir()}
	outside := t.TempDir()
	for _, path := range []string{outside, p.Root, filepath.Join(p.Root, "a", "b"), filepath.Join(p.Root, "..", filepath.Base(outside))} {
		v := &corev1.PersistentVolume{}
		v.Spec.HostPath = &corev1.HostPathVolumeSource{Path: path}
		if err := p.Delete(t.Context(), v); err == nil {
			t.Errorf("%s is removed", path)
		}
	}
	if err := p.Delete(t.Context(), &corev1.PersistentVolume{}); err == nil {
		t.Error("a volume without a path is removed")
	}
}
