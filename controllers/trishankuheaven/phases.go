// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package trishankuheaven

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// gather reads what others own.
func (r *Reconciler) gather(ctx context.Context, s *scope) error {
	names := heaven.SecretNames(s.heaven)
	s.secrets = map[string]*corev1.Secret{}
	for _, name := range []string{names.ClusterCA, names.FrontProxyCA, names.ServiceAccount, names.GitCA, names.Encryption} {
		secret := &corev1.Secret{}
		found, err := r.read(ctx, s.heaven.Namespace, name, secret)
		switch {
		case err != nil:
			return err
		case found:
			s.secrets[name] = secret
		default:
			s.missing = append(s.missing, name)
		}
	}
	merge := &heavenv1.AutomatedMerge{}
	found, err := r.read(ctx, s.heaven.Namespace, heaven.MergeName(s.heaven.Spec.ClusterName), merge)
	if err != nil {
		return err
	}
	if found {
		s.merge = merge
	}
	deployment := &appsv1.Deployment{}
	if found, err = r.read(ctx, s.heaven.Namespace, s.heaven.Name, deployment); err != nil {
		return err
	}
	if found {
		s.deployment = deployment
	}
	claim := &corev1.PersistentVolumeClaim{}
	if found, err = r.read(ctx, s.heaven.Namespace, s.heaven.Name, claim); err != nil {
		return err
	}
	if found {
		s.claim = claim
	}
	return nil
}

func (r *Reconciler) read(ctx context.Context, namespace, name string, into client.Object) (bool, error) {
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %T %s: %w", into, name, err)
	}
	return true, nil
}

// note keeps a failure that is a fact, and no reason to try again before something changes.
func note(fact *error, err error) { *fact = err }

// ensureService comes before the certificates, which name its address.
func (r *Reconciler) ensureService(ctx context.Context, s *scope) error {
	want := heaven.Service(s.heaven)
	if want == nil {
		return nil
	}
	have := &corev1.Service{}
	if err := r.ensure(ctx, s, want, have); err != nil {
		return err
	}
	nodes := &corev1.NodeList{}
	if want.Spec.Type == corev1.ServiceTypeNodePort {
		if err := r.Client.List(ctx, nodes); err != nil {
			return fmt.Errorf("list nodes of the host cluster: %w", err)
		}
	}
	s.location = heaven.Locate(have, nodes.Items, s.heaven.Spec.APIServer.Service.ExternalHost, s.heaven.Status.Endpoint.Host)
	return nil
}

// ensureCertificates keeps the heaven's Secret. While an authority is missing or unusable, the rest waits.
func (r *Reconciler) ensureCertificates(ctx context.Context, s *scope) error {
	if len(s.missing) > 0 {
		return nil
	}
	names := heaven.SecretNames(s.heaven)
	var authorities [3]*pki.Authority
	for i, name := range []string{names.ClusterCA, names.FrontProxyCA, names.GitCA} {
		authority, err := pki.ParseAuthority(s.secrets[name])
		if err != nil {
			note(&s.certificatesFailure, err)
			return nil
		}
		authorities[i] = authority
	}
	addresses := s.location.Addresses
	if host := s.heaven.Spec.APIServer.AdvertisedEndpoint.Host; host != "" {
		addresses = append(addresses, host)
	}
	wishes, err := heaven.Certificates(s.heaven,
		heaven.Authorities{Cluster: authorities[0], FrontProxy: authorities[1], Git: authorities[2]}, addresses...)
	if err != nil {
		note(&s.certificatesFailure, err)
		return nil
	}
	have := &corev1.Secret{}
	if _, err = r.read(ctx, s.heaven.Namespace, heaven.CertificatesName(s.heaven.Name), have); err != nil {
		return err
	}
	bundle, err := pki.Renew(have.Data, wishes, r.Clock.Now())
	if err != nil {
		note(&s.certificatesFailure, err)
		return nil
	}
	if err = r.ensure(ctx, s, certificatesSecret(s.heaven, bundle.Data), have); err != nil {
		return err
	}
	s.certificates = &bundle
	return nil
}

func certificatesSecret(h *heavenv1.TrishankuHeaven, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: h.Namespace, Name: heaven.CertificatesName(h.Name), Labels: heaven.Labels(h)},
		Type:       clusterv1.ClusterSecretType,
		Data:       data,
	}
}

// ensureWorkload keeps the ConfigMap, the claim and the Deployment.
func (r *Reconciler) ensureWorkload(ctx context.Context, s *scope) error {
	if s.certificates == nil {
		return nil
	}
	mounted := heaven.Content{heaven.CertificatesName(s.heaven.Name): s.certificates.Data}
	for name, secret := range s.secrets {
		mounted[name] = secret.Data
	}
	objects, err := heaven.ObjectsOf(heaven.Input{
		Heaven:   s.heaven,
		Endpoint: endpoint(s),
		Mounted:  mounted,
		Claim:    s.claim,
	})
	if err != nil {
		note(&s.specFailure, err)
		return nil
	}
	if err := r.ensure(ctx, s, objects.ConfigMap, &corev1.ConfigMap{}); err != nil {
		return err
	}
	if objects.Claim != nil {
		if err := r.ensure(ctx, s, objects.Claim, &corev1.PersistentVolumeClaim{}); err != nil {
			return err
		}
	}
	deployment := &appsv1.Deployment{}
	if err := r.ensure(ctx, s, objects.Deployment, deployment); err != nil {
		return err
	}
	s.deployment = deployment
	return nil
}

// endpoint is what was said, else what the Service gave.
func endpoint(s *scope) heavenv1.Endpoint {
	if given := s.heaven.Spec.APIServer.AdvertisedEndpoint; given.Host != "" {
		return given
	}
	return s.location.External
}

// ensure applies one object of the heaven's, which then goes with it.
func (r *Reconciler) ensure(ctx context.Context, s *scope, want, have client.Object) error {
	want.SetOwnerReferences([]metav1.OwnerReference{
		*metav1.NewControllerRef(s.heaven, heavenv1.GroupVersion.WithKind("TrishankuHeaven")),
	})
	changed, err := r.applier().Apply(ctx, want, have)
	if err != nil {
		return err
	}
	if changed {
		s.changed = append(s.changed, want.GetObjectKind().GroupVersionKind().Kind+" "+want.GetName())
	}
	return nil
}

// observe looks at what the host cluster made of it.
func (r *Reconciler) observe(ctx context.Context, s *scope) error {
	if err := listPods(ctx, r.Client, s); err != nil {
		return err
	}
	seen := heaven.Observe(s.deployment, s.pods)
	s.seen = &seen
	return nil
}

func listPods(ctx context.Context, reader client.Reader, s *scope) error {
	labels := heaven.Labels(s.heaven)
	pods := &corev1.PodList{}
	err := reader.List(ctx, pods, client.InNamespace(s.heaven.Namespace),
		client.MatchingLabels{heavenv1.HeavenLabel: labels[heavenv1.HeavenLabel]})
	if err != nil {
		return fmt.Errorf("list pods of heaven %s: %w", s.heaven.Name, err)
	}
	s.pods = pods.Items
	return nil
}
