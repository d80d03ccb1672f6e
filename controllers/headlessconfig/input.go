// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlessconfig

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/cluster-api/util/secret"
	"sigs.k8s.io/controller-runtime/pkg/client"

	bootstrapv1 "github.com/trishanku-org/cluster-api-provider-headless/api/bootstrap/v1alpha1"
	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/bootstrap"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// gatherHub finds the hub, once it has an address for machines.
func (r *Reconciler) gatherHub(ctx context.Context, s *scope) error {
	if done(s) || s.machine == nil || s.cluster == nil {
		return nil
	}
	merge := &heavenv1.AutomatedMerge{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.config.Namespace, Name: heaven.MergeName(s.cluster.Name)}, merge)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read AutomatedMerge: %w", err)
	}
	if err == nil && merge.Status.Endpoint.External.Host != "" {
		s.hub = merge
	}
	return nil
}

// gatherInput collects what the user data depends on. What is missing is waited for.
func (r *Reconciler) gatherInput(ctx context.Context, s *scope) error {
	if !begins(s) {
		return nil
	}
	network, err := heaven.NetworkOf(s.cluster)
	if err != nil {
		return s.refuse(err)
	}
	external := s.hub.Status.Endpoint.External
	in := &bootstrap.Input{
		Cluster:  s.cluster.Name,
		NodeName: s.machine.Name,
		Network: bootstrap.Network{
			ServiceCIDRs: network.ServiceCIDRs, PodCIDRs: network.PodCIDRs, ServiceDomain: network.ServiceDomain, Issuer: network.Issuer(),
		},
		Hub: bootstrap.Hub{
			URL:        (&url.URL{Scheme: "https", Host: net.JoinHostPort(external.Host, strconv.Itoa(int(external.Port)))}).String(),
			MainBranch: s.hub.Spec.Branches.Main,
		},
		Labels:       s.config.Spec.Labels,
		Taints:       s.config.Spec.Taints,
		KubeletArgs:  s.config.Spec.Kubelet.ExtraArgs,
		PreCommands:  s.config.Spec.PreCommands,
		PostCommands: s.config.Spec.PostCommands,
	}
	if raw := s.config.Spec.Kubelet.Config; raw != nil {
		in.KubeletConfig = raw.Raw
	}
	for _, gather := range []func(context.Context, *scope, *bootstrap.Input) error{r.gatherVersion, r.gatherProviderID, r.gatherSecrets, r.gatherFiles} {
		if err := gather(ctx, s, in); err != nil || s.missing != "" || s.refused != "" {
			return err
		}
	}
	s.input = in
	return nil
}

// gatherVersion takes the Machine's version, or else the control plane's.
func (r *Reconciler) gatherVersion(ctx context.Context, s *scope, in *bootstrap.Input) error {
	if in.Version = s.machine.Spec.Version; in.Version != "" {
		return nil
	}
	ref := s.cluster.Spec.ControlPlaneRef
	hcp := &controlplanev1.HeadlessControlPlane{}
	if ref.Kind != "HeadlessControlPlane" {
		s.refused = fmt.Sprintf("Cluster %s has no HeadlessControlPlane but %q: a HeadlessConfig makes nodes of headless clusters only", s.cluster.Name, ref.Kind)
		return nil
	}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.cluster.Namespace, Name: ref.Name}, hcp)
	if apierrors.IsNotFound(err) {
		s.missing = "HeadlessControlPlane " + ref.Name
		return nil
	}
	if err != nil {
		return fmt.Errorf("read HeadlessControlPlane: %w", err)
	}
	in.Version = hcp.Spec.Version
	return nil
}

// gatherProviderID finds out what the kubelet is to call its machine. Other providers' machines are named by their own means.
func (r *Reconciler) gatherProviderID(ctx context.Context, s *scope, in *bootstrap.Input) error {
	ref := s.machine.Spec.InfrastructureRef
	if ref.Kind != "GitBackedMachine" {
		return nil
	}
	infra := &infrav1.GitBackedMachine{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.machine.Namespace, Name: ref.Name}, infra)
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("read GitBackedMachine: %w", err)
	}
	if infra.Spec.ProviderID == "" {
		s.missing = fmt.Sprintf("provider ID of GitBackedMachine %s", ref.Name)
		return nil
	}
	in.ProviderID = infra.Spec.ProviderID
	return nil
}

// gatherSecrets reads the cluster's authorities and keys.
func (r *Reconciler) gatherSecrets(ctx context.Context, s *scope, in *bootstrap.Input) error {
	names := pki.DefaultNames(s.cluster.Name)
	names.GitCA = heaven.HubAuthority(s.hub)
	authority := func(ca **pki.Authority, cert *[]byte) func(*corev1.Secret) error {
		return func(have *corev1.Secret) (err error) {
			if *ca, err = pki.ParseAuthority(have); err == nil {
				*cert = (*ca).Cert
			}
			return err
		}
	}
	for _, want := range []struct {
		name string
		take func(*corev1.Secret) error
	}{
		{names.ClusterCA, authority(&s.ca.Cluster, &in.Shared.ClusterCA)},
		{names.FrontProxyCA, authority(&s.ca.FrontProxy, &in.Shared.FrontProxyCA)},
		{names.GitCA, authority(&s.ca.Git, &in.Shared.GitCA)},
		{names.ServiceAccount, func(have *corev1.Secret) error {
			in.Shared.ServiceAccount = pki.KeyPair{Cert: have.Data[secret.TLSCrtDataName], Key: have.Data[secret.TLSKeyDataName]}
			return nil
		}},
		{names.Encryption, func(have *corev1.Secret) error {
			in.Shared.Encryption = have.Data[pki.EncryptionConfigKey]
			return nil
		}},
	} {
		have, err := r.secret(ctx, s, want.name)
		if err != nil || have == nil {
			return err
		}
		if err := want.take(have); err != nil {
			return s.refuse(err)
		}
	}
	return nil
}

// gatherFiles reads the user's files.
func (r *Reconciler) gatherFiles(ctx context.Context, s *scope, in *bootstrap.Input) error {
	for _, f := range s.config.Spec.Files {
		file := bootstrap.File{Path: f.Path, Owner: f.Owner, Permissions: f.Permissions}
		switch {
		case f.ContentFrom != nil:
			ref := f.ContentFrom.Secret
			have, err := r.secret(ctx, s, ref.Name)
			if err != nil || have == nil {
				return err
			}
			content, ok := have.Data[ref.Key]
			if !ok {
				s.missing = fmt.Sprintf("key %s of Secret %s, for file %s", ref.Key, ref.Name, f.Path)
				return nil
			}
			file.Content = content
			// What comes from a Secret stays one.
			file.Permissions = cmp.Or(file.Permissions, "0600")
		case f.Content != nil && f.Encoding == bootstrapv1.FileBase64:
			content, err := base64.StdEncoding.DecodeString(*f.Content)
			if err != nil {
				return s.refuse(fmt.Errorf("the content of file %s is not base64: %w", f.Path, err))
			}
			file.Content = content
		case f.Content != nil:
			file.Content = []byte(*f.Content)
		}
		in.Files = append(in.Files, file)
	}
	return nil
}

// secret reads a Secret beside the config; one that is absent is missing.
func (r *Reconciler) secret(ctx context.Context, s *scope, name string) (*corev1.Secret, error) {
	have := &corev1.Secret{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: s.config.Namespace, Name: name}, have)
	if apierrors.IsNotFound(err) {
		s.missing = "Secret " + name
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	return have, nil
}
