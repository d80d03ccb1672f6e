// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/admit"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/rules"
)

// +kubebuilder:webhook:verbs=create;update,path=/mutate-controlplane-cluster-x-k8s-io-v1alpha1-headlesscontrolplane,mutating=true,failurePolicy=fail,matchPolicy=Equivalent,groups=controlplane.cluster.x-k8s.io,resources=headlesscontrolplanes,versions=v1alpha1,name=default.headlesscontrolplane.controlplane.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/validate-controlplane-cluster-x-k8s-io-v1alpha1-headlesscontrolplane,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=controlplane.cluster.x-k8s.io,resources=headlesscontrolplanes,versions=v1alpha1,name=validation.headlesscontrolplane.controlplane.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/validate-controlplane-cluster-x-k8s-io-v1alpha1-headlesscontrolplanetemplate,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=controlplane.cluster.x-k8s.io,resources=headlesscontrolplanetemplates,versions=v1alpha1,name=validation.headlesscontrolplanetemplate.controlplane.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1

// takenComponents are the component names that users cannot choose.
var takenComponents = sets.New(heavenv1.FrontDoor, "kube-apiserver", "kube-controller-manager", "kube-scheduler", heavenv1.HubComponent, heavenv1.MainBranch)

var controlPlanes = admit.Kind[*controlplanev1.HeadlessControlPlane]{
	GroupKind: controlplanev1.GroupVersion.WithKind("HeadlessControlPlane").GroupKind(),
	New:       func() *controlplanev1.HeadlessControlPlane { return &controlplanev1.HeadlessControlPlane{} },
	Spec:      func(c *controlplanev1.HeadlessControlPlane) any { return c.Spec },
	Default: func(c *controlplanev1.HeadlessControlPlane) {
		c.Spec.Version = rules.DefaultVersion(c.Spec.Version)
		defaultConfiguration(&c.Spec.HeadlessControlPlaneConfiguration)
	},
	Validate: validateControlPlane,
	Change:   changeControlPlane,
	Warn: func(c *controlplanev1.HeadlessControlPlane) []string {
		return rules.VersionWarnings(field.NewPath("spec", "version"), c.Spec.Version)
	},
}

// Templates are not defaulted: what is made from them is, and a topology owns only what a template really says.
var controlPlaneTemplates = admit.Kind[*controlplanev1.HeadlessControlPlaneTemplate]{
	GroupKind: controlplanev1.GroupVersion.WithKind("HeadlessControlPlaneTemplate").GroupKind(),
	New: func() *controlplanev1.HeadlessControlPlaneTemplate {
		return &controlplanev1.HeadlessControlPlaneTemplate{}
	},
	Spec: func(t *controlplanev1.HeadlessControlPlaneTemplate) any { return t.Spec },
	Validate: func(t *controlplanev1.HeadlessControlPlaneTemplate) field.ErrorList {
		path := field.NewPath("spec", "template")
		errs := t.Spec.Template.ObjectMeta.Validate(path.Child("metadata"))
		return append(errs, validateConfiguration(path.Child("spec"), &t.Spec.Template.Spec)...)
	},
	Frozen: func(t *controlplanev1.HeadlessControlPlaneTemplate) any { return t.Spec.Template.Spec },
}

func defaultConfiguration(c *controlplanev1.HeadlessControlPlaneConfiguration) {
	rules.DefaultService(&c.Components.APIServer.Service, corev1.ServiceTypeClusterIP, heavenv1.APIServerPort)
	rules.DefaultService(&c.Merge.Service, corev1.ServiceTypeNodePort, heavenv1.HubPort)
	c.Storage = rules.DefaultStorage(c.Storage, rules.HeavenStorageSize)
	c.Merge.Storage = rules.DefaultStorage(c.Merge.Storage, rules.HubStorageSize)
	if c.Encryption.Provider == "" {
		c.Encryption.Provider = controlplanev1.EncryptionSecretbox
	}
	defaultMode(&c.Components.ControllerManager.Mode)
	defaultMode(&c.Components.Scheduler.Mode)
	for i := range c.Components.Additional {
		a := &c.Components.Additional[i]
		defaultMode(&a.Mode)
		if a.Kubeconfig.Path == "" {
			a.Kubeconfig.Path = defaultKubeconfigPath
		}
		if a.Kubeconfig.User == "" {
			a.Kubeconfig.User = "headless:" + a.Name
		}
	}
}

func defaultMode(m *heavenv1.Mode) {
	if *m == "" {
		*m = heavenv1.ModeAvailable
	}
}

func validateControlPlane(c *controlplanev1.HeadlessControlPlane) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rules.Version(spec.Child("version"), c.Spec.Version)
	endpoint := c.Spec.ControlPlaneEndpoint
	errs = append(errs, rules.Endpoint(spec.Child("controlPlaneEndpoint"), endpoint.Host, endpoint.Port)...)
	return append(errs, validateConfiguration(spec, &c.Spec.HeadlessControlPlaneConfiguration)...)
}

func validateConfiguration(spec *field.Path, c *controlplanev1.HeadlessControlPlaneConfiguration) field.ErrorList {
	components, merge := spec.Child("components"), spec.Child("merge")
	apiServer := components.Child("apiServer")
	errs := rules.Storage(spec.Child("storage"), c.Storage)
	errs = append(errs, rules.Storage(merge.Child("storage"), c.Merge.Storage)...)
	errs = append(errs, rules.Service(merge.Child("service"), &c.Merge.Service)...)
	errs = append(errs, rules.Merge(merge, &c.Merge.MergeRules)...)
	errs = append(errs, rules.Service(apiServer.Child("service"), &c.Components.APIServer.Service)...)
	errs = append(errs, rules.Names(apiServer.Child("certSANs"), c.Components.APIServer.CertSANs)...)
	errs = append(errs, rules.Arguments(apiServer.Child("extraArgs"), c.Components.APIServer.ExtraArgs, rules.APIServerFlags)...)
	errs = append(errs, rules.Arguments(components.Child("controllerManager", "extraArgs"), c.Components.ControllerManager.ExtraArgs, rules.ControllerManagerFlags)...)
	errs = append(errs, rules.Arguments(components.Child("scheduler", "extraArgs"), c.Components.Scheduler.ExtraArgs, rules.SchedulerFlags)...)
	for i := range c.Components.Additional {
		a, at := &c.Components.Additional[i], components.Child("additional").Index(i)
		if takenComponents.Has(a.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), a.Name, "is the name of a component that every control plane has; choose another"))
		}
		errs = append(errs, rules.PodTemplate(at.Child("template"), &a.Template)...)
	}
	return errs
}

func changeControlPlane(before, after *controlplanev1.HeadlessControlPlane) field.ErrorList {
	spec := field.NewPath("spec")
	errs := rules.VersionChange(spec.Child("version"), before.Spec.Version, after.Spec.Version)
	errs = append(errs, rules.StorageChange(spec.Child("storage"), before.Spec.Storage, after.Spec.Storage)...)
	errs = append(errs, rules.StorageChange(spec.Child("merge", "storage"), before.Spec.Merge.Storage, after.Spec.Merge.Storage)...)
	if b, a := before.Spec.Encryption.Provider, after.Spec.Encryption.Provider; b != "" && a != b {
		errs = append(errs, field.Forbidden(spec.Child("encryption", "provider"),
			fmt.Sprintf("stored Secrets are encrypted with %s and nothing else reads them; keep it", b)))
	}
	if b, a := before.Spec.RepositoryRef.Name, after.Spec.RepositoryRef.Name; b != "" && a != b {
		errs = append(errs, field.Forbidden(spec.Child("repositoryRef", "name"),
			fmt.Sprintf("the history is in GitRepository %s; keep it", b)))
	}
	return errs
}
