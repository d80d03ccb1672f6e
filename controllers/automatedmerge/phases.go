// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

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
	name := heaven.HubName(s.merge.Name)
	var err error
	if s.authority, err = read(ctx, r, s, heaven.HubAuthority(s.merge), &corev1.Secret{}); err != nil {
		return err
	}
	repository := cmp.Or(s.merge.Spec.RepositoryRef.Name, s.merge.Spec.ClusterName)
	if s.repository, err = read(ctx, r, s, repository, &heavenv1.GitRepository{}); err != nil {
		return err
	}
	if s.forgeMissing, err = r.forgeMissing(ctx, s); err != nil {
		return err
	}
	if s.deployment, err = read(ctx, r, s, name, &appsv1.Deployment{}); err != nil {
		return err
	}
	if s.heavens, err = r.heavensOf(ctx, s.merge); err != nil {
		return err
	}
	s.claim, err = read(ctx, r, s, name, &corev1.PersistentVolumeClaim{})
	return err
}

// forgeMissing names what is not there of the Secrets that the GitRepository names.
func (r *Reconciler) forgeMissing(ctx context.Context, s *scope) (string, error) {
	var missing []string
	for _, m := range heaven.ForgeSecrets(s.repository) {
		secret, err := read(ctx, r, s, m.Name, &corev1.Secret{})
		if err != nil {
			return "", err
		}
		if secret == nil {
			secret = &corev1.Secret{}
		}
		if keys := m.Lacks(secret.Data); len(keys) > 0 {
			missing = append(missing, fmt.Sprintf("Secret %s with %s, for %s", m.Name, strings.Join(keys, " and "), m.For))
		}
	}
	return strings.Join(missing, "; "), nil
}

// heavensOf are the heavens of a merge's cluster.
func (r *Reconciler) heavensOf(ctx context.Context, m *heavenv1.AutomatedMerge) ([]heavenv1.TrishankuHeaven, error) {
	list := &heavenv1.TrishankuHeavenList{}
	if err := r.Client.List(ctx, list, client.InNamespace(m.Namespace)); err != nil {
		return nil, fmt.Errorf("list TrishankuHeavens: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(h heavenv1.TrishankuHeaven) bool { return h.Spec.ClusterName != m.Spec.ClusterName }), nil
}

// read is nil when there is none.
func read[T client.Object](ctx context.Context, r *Reconciler, s *scope, name string, into T) (T, error) {
	var none T
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.merge.Namespace, Name: name}, into)
	if apierrors.IsNotFound(err) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("read %T %s: %w", into, name, err)
	}
	return into, nil
}

// note keeps a failure that is a fact, and no reason to try again before something changes.
func note(fact *error, err error) { *fact = err }

// ensureService comes before the certificates, which name its addresses.
func (r *Reconciler) ensureService(ctx context.Context, s *scope) error {
	want, err := heaven.HubService(input(s))
	if err != nil {
		note(&s.specFailure, err)
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
	s.location = heaven.Locate(have, nodes.Items, s.merge.Spec.Service.ExternalHost, s.merge.Status.Endpoint.External.Host)
	s.webhookURL = heaven.WebhookURL(s.repository, have, s.location)
	return nil
}

// ensureCertificates keeps the hub's Secret. While the authority is missing or unusable, the rest waits.
func (r *Reconciler) ensureCertificates(ctx context.Context, s *scope) error {
	if s.authority == nil {
		return nil
	}
	git, err := pki.ParseAuthority(s.authority)
	if err != nil {
		note(&s.certificatesFailure, err)
		return nil
	}
	have := &corev1.Secret{}
	existing, err := read(ctx, r, s, heaven.HubCertificatesName(s.merge.Name), &corev1.Secret{})
	if err != nil {
		return err
	}
	if existing != nil {
		have = existing
	}
	bundle, err := pki.Renew(have.Data, heaven.HubCertificates(s.merge, git, s.location.Addresses...), r.Clock.Now())
	if err != nil {
		note(&s.certificatesFailure, err)
		return nil
	}
	want := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.merge.Namespace, Name: heaven.HubCertificatesName(s.merge.Name), Labels: heaven.MergeLabels(s.merge),
		},
		Type: clusterv1.ClusterSecretType,
		Data: bundle.Data,
	}
	if err := r.ensure(ctx, s, want, &corev1.Secret{}); err != nil {
		return err
	}
	s.certificates = &bundle
	return nil
}

// input is what the hub's objects are computed from.
func input(s *scope) heaven.HubInput {
	return heaven.HubInput{Merge: s.merge, Heavens: s.heavens, Repository: s.repository, Claim: s.claim}
}

// ensureWorkload keeps the ConfigMap, the claim and the Deployment. A hub that runs is not put at risk for a forge whose
// Secrets are missing: its pod would wait for them, and all heavens for it.
func (r *Reconciler) ensureWorkload(ctx context.Context, s *scope) error {
	if s.certificates == nil || s.forgeMissing != "" {
		return nil
	}
	objects, err := heaven.HubObjects(input(s))
	if err != nil {
		note(&s.specFailure, err)
		return nil
	}
	if err := r.ensure(ctx, s, objects.ConfigMap, &corev1.ConfigMap{}); err != nil {
		return err
	}
	if objects.Claim != nil {
		if err := r.ensureClaim(ctx, s, objects.Claim); err != nil {
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

// ensureClaim keeps the hub's volume, and lets it outlive the hub if that is the repository's deletion policy.
func (r *Reconciler) ensureClaim(ctx context.Context, s *scope, want *corev1.PersistentVolumeClaim) error {
	if s.repository == nil || s.repository.Spec.DeletionPolicy != heavenv1.DeletionRetain {
		return r.ensure(ctx, s, want, &corev1.PersistentVolumeClaim{})
	}
	return r.applyAndNote(ctx, s, want, &corev1.PersistentVolumeClaim{})
}

// ensure applies one object of the hub's, which then goes with it.
func (r *Reconciler) ensure(ctx context.Context, s *scope, want, have client.Object) error {
	want.SetOwnerReferences([]metav1.OwnerReference{
		*metav1.NewControllerRef(s.merge, heavenv1.GroupVersion.WithKind("AutomatedMerge")),
	})
	return r.applyAndNote(ctx, s, want, have)
}

func (r *Reconciler) applyAndNote(ctx context.Context, s *scope, want, have client.Object) error {
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
	pods := &corev1.PodList{}
	err := reader.List(ctx, pods, client.InNamespace(s.merge.Namespace),
		client.MatchingLabels{heavenv1.MergeLabel: heaven.MergeLabels(s.merge)[heavenv1.MergeLabel]})
	if err != nil {
		return fmt.Errorf("list pods of the hub: %w", err)
	}
	s.pods = pods.Items
	return nil
}

// askHub is not a failure of ours when the hub does not answer: it is a fact.
func (r *Reconciler) askHub(ctx context.Context, s *scope) error {
	if s.seen.Stage != heaven.StageReady || s.certificates == nil || s.location.Internal.Host == "" {
		return nil
	}
	status, err := r.Hubs.Status(ctx, HubAddress{
		Endpoint: s.location.Internal,
		CA:       s.authority.Data["tls.crt"],
		Cert:     s.certificates.Data["hub-admin.crt"],
		Key:      s.certificates.Data["hub-admin.key"],
	})
	if err != nil {
		note(&s.hubFailure, err)
		return nil
	}
	s.hub = &status
	return nil
}
