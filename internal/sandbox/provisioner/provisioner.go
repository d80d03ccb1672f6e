// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package provisioner makes hostPath volumes for claims of the host's default
// storage class.
//
//	claim, pod scheduled ─► directory state/volumes/pvc-UID ─► PersistentVolume
//	claim deleted        ─► directory removed
//
// # Laws
//
//  1. A volume is a directory directly below the root, and nothing else is ever
//     removed.
//  2. It belongs to one node, and says so.
package provisioner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// Name is the provisioner that the storage class names.
const Name = "sandbox.trishanku.org/host-path"

// A claim that somebody else has just changed is tried again at once: the
// library's own first pause, 15 s, is longer than a whole control plane takes.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// HostPath provisions directories below Root on Node.
type HostPath struct {
	Root string
	Node string
}

var _ controller.Provisioner = &HostPath{}

// Run provisions until ctx ends.
func Run(ctx context.Context, kubeconfig string, p *HostPath) error {
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	if err := os.MkdirAll(p.Root, 0o755); err != nil { //nolint:gosec // pods of any user mount what lies below
		return fmt.Errorf("create directory of volumes: %w", err)
	}
	controller.NewProvisionController(ctx, client, Name, p,
		controller.LeaderElection(false),
		controller.RateLimiter(workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry)),
		controller.FailedProvisionThreshold(0), controller.FailedDeleteThreshold(0), // it does not give up
	).Run(ctx)
	return nil
}

// Provision makes the directory and describes it as a volume.
func (p *HostPath) Provision(_ context.Context, o controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	dir := filepath.Join(p.Root, o.PVName)
	if err := os.MkdirAll(dir, 0o777); err != nil { //nolint:gosec // a hostPath has no fsGroup: the pod's user must be able to write
		return nil, controller.ProvisioningFinished, fmt.Errorf("create volume: %w", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // as above; the umask may have taken bits
		return nil, controller.ProvisioningFinished, fmt.Errorf("open volume to the pod's user: %w", err)
	}
	kind := corev1.HostPathDirectory
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: o.PVName},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes:                   o.PVC.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: *o.StorageClass.ReclaimPolicy,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: o.PVC.Spec.Resources.Requests[corev1.ResourceStorage]},
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir, Type: &kind}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{p.Node},
				}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes the directory of a volume.
func (p *HostPath) Delete(_ context.Context, v *corev1.PersistentVolume) error {
	if v.Spec.HostPath == nil || filepath.Dir(v.Spec.HostPath.Path) != filepath.Clean(p.Root) {
		return fmt.Errorf("volume %s is no directory below %s: delete it by hand", v.Name, p.Root)
	}
	if err := os.RemoveAll(v.Spec.HostPath.Path); err != nil {
		return fmt.Errorf("remove volume: %w", err)
	}
	return nil
}
