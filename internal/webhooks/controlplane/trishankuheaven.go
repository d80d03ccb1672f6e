// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"path"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/admit"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/rules"
)

// +kubebuilder:webhook:verbs=create;update,path=/mutate-heaven-trishanku-org-v1alpha1-trishankuheaven,mutating=true,failurePolicy=fail,matchPolicy=Equivalent,groups=heaven.trishanku.org,resources=trishankuheavens,versions=v1alpha1,name=default.trishankuheaven.heaven.trishanku.org,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/validate-heaven-trishanku-org-v1alpha1-trishankuheaven,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=heaven.trishanku.org,resources=trishankuheavens,versions=v1alpha1,name=validation.trishankuheaven.heaven.trishanku.org,sideEffects=None,admissionReviewVersions=v1

const (
	defaultKubeconfigPath = "/etc/trishanku/kubeconfig"
	defaultServiceCIDR    = "10.96.0.0/16"
	defaultIssuer         = "https://kubernetes.default.svc.cluster.local"
)

var heavens = admit.Kind[*heavenv1.TrishankuHeaven]{
	GroupKind: heavenv1.GroupVersion.WithKind("TrishankuHeaven").GroupKind(),
	New:       func() *heavenv1.TrishankuHeaven { return &heavenv1.TrishankuHeaven{} },
	Spec:      func(h *heavenv1.TrishankuHeaven) any { return h.Spec },
	Default:   defaultHeaven,
	Validate:  validateHeaven,
	Change: func(before, after *heavenv1.TrishankuHeaven) field.ErrorList {
		spec := field.NewPath("spec")
		errs := rules.VersionChange(spec.Child("version"), before.Spec.Version, after.Spec.Version)
		return append(errs, rules.StorageChange(spec.Child("storage"), before.Spec.Storage, after.Spec.Storage)...)
	},
	Warn: func(h *heavenv1.TrishankuHeaven) []string {
		return rules.VersionWarnings(field.NewPath("spec", "version"), h.Spec.Version)
	},
}

func defaultHeaven(h *heavenv1.TrishankuHeaven) {
	s := &h.Spec
	s.Version = rules.DefaultVersion(s.Version)
	s.Storage = rules.DefaultStorage(s.Storage, rules.HeavenStorageSize)
	defaultMode(&s.Mode)
	a := &s.APIServer
	if a.EndpointReconciler == "" {
		a.EndpointReconciler = heavenv1.EndpointReconcilerNone
	}
	if len(a.ServiceCIDRs) == 0 {
		a.ServiceCIDRs = []string{defaultServiceCIDR}
	}
	if a.ServiceAccountIssuer == "" {
		a.ServiceAccountIssuer = defaultIssuer
	}
	if a.Service != nil {
		rules.DefaultService(a.Service, corev1.ServiceTypeClusterIP, heavenv1.APIServerPort)
	}
	if s.Upstream.MainBranch == "" {
		s.Upstream.MainBranch = heavenv1.MainBranch
	}
	if s.Component != nil && s.Component.Kubeconfig.Path == "" {
		s.Component.Kubeconfig.Path = defaultKubeconfigPath
	}
	c := &s.Certificates
	for _, secret := range []struct {
		name   *string
		suffix string
	}{{&c.ClusterCA, "ca"}, {&c.FrontProxyCA, "proxy"}, {&c.ServiceAccount, "sa"}, {&c.GitCA, "git-ca"}, {&c.Encryption, "encryption"}} {
		if *secret.name == "" && s.ClusterName != "" {
			*secret.name = s.ClusterName + "-" + secret.suffix
		}
	}
}

func validateHeaven(h *heavenv1.TrishankuHeaven) field.ErrorList {
	spec, s := field.NewPath("spec"), &h.Spec
	errs := rules.Version(spec.Child("version"), s.Version)
	if s.APIServer.Service != nil {
		errs = append(errs, serviceName(h.Name, h.Name)...)
	}
	if s.Component != nil {
		at := spec.Child("component")
		if want := path.Base(s.Branch); s.Component.Name != want {
			errs = append(errs, field.Invalid(at.Child("name"), s.Component.Name, fmt.Sprintf("the branch is %s; write %s, or change the branch", s.Branch, want)))
		}
		if s.Component.Name == heavenv1.FrontDoor {
			errs = append(errs, field.Invalid(at.Child("name"), s.Component.Name, "is the front door's, which has no component; leave component out, or choose another name"))
		}
		errs = append(errs, rules.PodTemplate(at.Child("template"), &s.Component.Template)...)
	}
	apiServer, a := spec.Child("apiServer"), &s.APIServer
	errs = append(errs, rules.Networks(apiServer.Child("serviceCIDRs"), a.ServiceCIDRs)...)
	errs = append(errs, rules.Names(apiServer.Child("certSANs"), a.CertSANs)...)
	errs = append(errs, rules.Endpoint(apiServer.Child("advertisedEndpoint"), a.AdvertisedEndpoint.Host, a.AdvertisedEndpoint.Port)...)
	errs = append(errs, rules.Arguments(apiServer.Child("extraArgs"), a.ExtraArgs, rules.APIServerFlags)...)
	errs = append(errs, rules.Service(apiServer.Child("service"), a.Service)...)
	errs = append(errs, rules.Policy(spec.Child("policy"), s.Branch, &s.Policy)...)
	return append(errs, rules.Storage(spec.Child("storage"), s.Storage)...)
}

// serviceName checks that what is made from an object's name can be the name of a Service.
func serviceName(object, service string) field.ErrorList {
	if len(validation.IsDNS1035Label(service)) == 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), object,
		fmt.Sprintf("%s becomes the name of a Service: write small letters, digits and '-', beginning with a letter, so that it has at most %d characters (a shorter Cluster name helps)",
			service, validation.DNS1035LabelMaxLength))}
}
