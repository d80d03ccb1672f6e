// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlessconfig

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	bootstrapv1 "github.com/trishanku-org/cluster-api-provider-headless/api/bootstrap/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/bootstrap"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// Keys of the data Secret.
const (
	dataKey   = "value"
	formatKey = "format"
)

// findData looks for the data Secret first of all: it is never written twice.
func (r *Reconciler) findData(ctx context.Context, s *scope) error {
	have := &corev1.Secret{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(s.config), have)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("read data Secret: %w", err)
	case !ours(have, s.config) || len(have.Data[dataKey]) == 0:
		s.foreign = true
	default:
		s.data = have
	}
	return nil
}

// ours goes by kind and name: after a move, or when the config was made again, its UID is another.
func ours(have *corev1.Secret, config *bootstrapv1.HeadlessConfig) bool {
	for _, ref := range have.OwnerReferences {
		if ref.Kind == "HeadlessConfig" && ref.Name == config.Name {
			return true
		}
	}
	return false
}

// writeData makes the node's certificates and writes its user data.
func (r *Reconciler) writeData(ctx context.Context, s *scope) error {
	if s.input == nil {
		return nil
	}
	wishes, err := bootstrap.Certificates(s.input, s.ca)
	if err != nil {
		return s.refuse(err)
	}
	bundle, err := pki.Renew(nil, wishes, r.Clock.Now())
	if err != nil {
		return s.refuse(err)
	}
	s.input.Certificates = bundle.Data
	value, err := bootstrap.UserData(s.input)
	if err != nil {
		return s.refuse(err)
	}
	fresh := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.config.Namespace,
			Name:      s.config.Name,
			Labels:    map[string]string{clusterv1.ClusterNameLabel: s.cluster.Name},
		},
		Type: clusterv1.ClusterSecretType,
		Data: map[string][]byte{dataKey: value, formatKey: []byte("cloud-config")},
	}
	if err := controllerutil.SetControllerReference(s.config, fresh, r.Client.Scheme()); err != nil {
		return fmt.Errorf("own data Secret: %w", err)
	}
	if err := r.Client.Create(ctx, fresh); err != nil {
		return fmt.Errorf("create data Secret: %w", err)
	}
	s.data = fresh
	r.recorder.Eventf(s.config, fresh, corev1.EventTypeNormal, "DataSecretCreated", "Bootstrap",
		"wrote the user data of Node %s, branch %s, into Secret %s", s.input.NodeName, s.input.Branch(), fresh.Name)
	if len(value) > bootstrap.SmallestCloudLimit {
		r.recorder.Eventf(s.config, fresh, corev1.EventTypeWarning, "UserDataTooLarge", "Bootstrap",
			"the user data has %d bytes; GCE takes %d: let the machine image have large files", len(value), bootstrap.SmallestCloudLimit)
	}
	return nil
}

// report tells Cluster API where the user data is.
func (r *Reconciler) report(_ context.Context, s *scope) error {
	if s.data == nil {
		return nil
	}
	s.config.Status.DataSecretName = s.data.Name
	s.config.Status.Initialization.DataSecretCreated = new(true)
	return nil
}
