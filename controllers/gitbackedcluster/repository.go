// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitbackedcluster

import (
	"cmp"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/conditions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
)

// gather reads the cluster's repository, which is named after the cluster.
func (r *Reconciler) gather(ctx context.Context, s *scope) error {
	repository := &heavenv1.GitRepository{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.infra.Namespace, Name: s.clusterName}, repository)
	switch {
	case err == nil:
		s.repository = repository
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("read GitRepository: %w", err)
	}
	return nil
}

// ensureRepository makes the repository, or keeps the one that we made as the spec says.
func (r *Reconciler) ensureRepository(ctx context.Context, s *scope) error {
	if err := r.gather(ctx, s); err != nil {
		return err
	}
	if s.repository == nil {
		fresh := wanted(s)
		if err := controllerutil.SetControllerReference(s.infra, fresh, r.Client.Scheme()); err != nil {
			return fmt.Errorf("own GitRepository: %w", err)
		}
		if err := r.Client.Create(ctx, fresh); err != nil {
			return fmt.Errorf("create GitRepository: %w", err)
		}
		r.recorder.Eventf(s.infra, fresh, corev1.EventTypeNormal, "RepositoryCreated", "Create", "created GitRepository %s", fresh.Name)
		s.repository = fresh
		return nil
	}
	if s.repository.Spec.ClusterName != s.clusterName {
		s.foreign = true
		return nil
	}
	if !metav1.IsControlledBy(s.repository, s.infra) {
		return nil
	}
	change := s.repository.DeepCopy()
	change.Spec.Forge, change.Spec.DeletionPolicy = wanted(s).Spec.Forge, wanted(s).Spec.DeletionPolicy
	if equality.Semantic.DeepEqual(change.Spec, s.repository.Spec) {
		return nil
	}
	if err := r.Client.Patch(ctx, change, client.MergeFrom(s.repository)); err != nil {
		return fmt.Errorf("change GitRepository: %w", err)
	}
	s.repository = change
	return nil
}

// wanted is the repository that the spec asks for.
func wanted(s *scope) *heavenv1.GitRepository {
	spec := s.infra.Spec.Repository
	forge := *spec.Forge.DeepCopy()
	forge.Type = cmp.Or(forge.Type, heavenv1.ForgeNone)
	labels := map[string]string{clusterv1.ClusterNameLabel: s.clusterName}
	if filter, ok := s.infra.Labels[clusterv1.WatchLabel]; ok {
		labels[clusterv1.WatchLabel] = filter
	}
	return &heavenv1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.infra.Namespace,
			Name:      s.clusterName,
			Labels:    labels,
		},
		Spec: heavenv1.GitRepositorySpec{
			ClusterName:    s.clusterName,
			Forge:          forge,
			DeletionPolicy: cmp.Or(spec.DeletionPolicy, heavenv1.DeletionDelete),
		},
	}
}

// provision tells Cluster API that the infrastructure is there.
func (r *Reconciler) provision(_ context.Context, s *scope) error {
	s.infra.Status.FailureDomains = s.infra.Spec.FailureDomains
	if s.repository == nil || s.foreign || !conditions.IsTrue(s.repository, heavenv1.RepositoryReady) {
		return nil
	}
	if provisioned := s.infra.Status.Initialization.Provisioned; provisioned == nil || !*provisioned {
		s.infra.Status.Initialization.Provisioned = new(true)
		r.recorder.Eventf(s.infra, s.repository, corev1.EventTypeNormal, "Provisioned", "Provision", "GitRepository %s can be used", s.repository.Name)
	}
	return nil
}

// deleteRepository deletes what ensureRepository made.
func (r *Reconciler) deleteRepository(ctx context.Context, s *scope) error {
	if err := r.gather(ctx, s); err != nil || s.repository == nil {
		return err
	}
	if !metav1.IsControlledBy(s.repository, s.infra) {
		s.repository = nil
		return nil
	}
	if !s.repository.DeletionTimestamp.IsZero() {
		return nil
	}
	if err := r.Client.Delete(ctx, s.repository); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete GitRepository: %w", err)
	}
	// One without a finalizer is gone at once.
	s.repository = nil
	return r.gather(ctx, s)
}

// release lets the object go when nothing of it is left.
func (r *Reconciler) release(_ context.Context, s *scope) error {
	if s.repository == nil {
		controllerutil.RemoveFinalizer(s.infra, infrav1.ClusterFinalizer)
	}
	return nil
}
