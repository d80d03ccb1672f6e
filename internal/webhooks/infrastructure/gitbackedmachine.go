// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package infrastructure

import (
	"fmt"
	"regexp"

	"k8s.io/apimachinery/pkg/util/validation/field"

	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/admit"
)

// +kubebuilder:webhook:verbs=create;update,path=/mutate-infrastructure-cluster-x-k8s-io-v1alpha1-gitbackedmachine,mutating=true,failurePolicy=fail,matchPolicy=Equivalent,groups=infrastructure.cluster.x-k8s.io,resources=gitbackedmachines,versions=v1alpha1,name=default.gitbackedmachine.infrastructure.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/validate-infrastructure-cluster-x-k8s-io-v1alpha1-gitbackedmachine,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=infrastructure.cluster.x-k8s.io,resources=gitbackedmachines,versions=v1alpha1,name=validation.gitbackedmachine.infrastructure.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/validate-infrastructure-cluster-x-k8s-io-v1alpha1-gitbackedmachinetemplate,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=infrastructure.cluster.x-k8s.io,resources=gitbackedmachinetemplates,versions=v1alpha1,name=validation.gitbackedmachinetemplate.infrastructure.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1

// providerID is the form that kubelet, cloud providers and Cluster API agree on.
var providerID = regexp.MustCompile(`^[a-z][a-z0-9.+-]*://[^\s/][^\s]*$`)

var machines = admit.Kind[*infrav1.GitBackedMachine]{
	GroupKind: infrav1.GroupVersion.WithKind("GitBackedMachine").GroupKind(),
	New:       func() *infrav1.GitBackedMachine { return &infrav1.GitBackedMachine{} },
	Spec:      func(m *infrav1.GitBackedMachine) any { return m.Spec },
	Default: func(m *infrav1.GitBackedMachine) {
		if m.Spec.External == nil {
			m.Spec.External = &infrav1.ExternalMachine{}
		}
	},
	Validate: func(m *infrav1.GitBackedMachine) field.ErrorList {
		if id := m.Spec.ProviderID; id != "" && !providerID.MatchString(id) {
			return field.ErrorList{field.Invalid(field.NewPath("spec", "providerID"), id,
				fmt.Sprintf("write it as the machine's kubelet reports it, such as %s<namespace>/<name>, or leave it out", infrav1.ProviderIDPrefix))}
		}
		return nil
	},
	Change: func(before, after *infrav1.GitBackedMachine) field.ErrorList {
		if b := before.Spec.ProviderID; b != "" && b != after.Spec.ProviderID {
			return field.ErrorList{field.Forbidden(field.NewPath("spec", "providerID"),
				fmt.Sprintf("is %s for as long as the machine lives; delete the Machine to get another", b))}
		}
		return nil
	},
}

var machineTemplates = admit.Kind[*infrav1.GitBackedMachineTemplate]{
	GroupKind: infrav1.GroupVersion.WithKind("GitBackedMachineTemplate").GroupKind(),
	New:       func() *infrav1.GitBackedMachineTemplate { return &infrav1.GitBackedMachineTemplate{} },
	Spec:      func(t *infrav1.GitBackedMachineTemplate) any { return t.Spec },
	Validate: func(t *infrav1.GitBackedMachineTemplate) field.ErrorList {
		path := field.NewPath("spec", "template")
		errs := t.Spec.Template.ObjectMeta.Validate(path.Child("metadata"))
		if t.Spec.Template.Spec.ProviderID != "" {
			errs = append(errs, field.Forbidden(path.Child("spec", "providerID"), "each machine has its own; leave it out"))
		}
		return errs
	},
	Frozen: func(t *infrav1.GitBackedMachineTemplate) any { return t.Spec.Template.Spec },
}
