// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/admit"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/rules"
)

// +kubebuilder:webhook:verbs=create;update,path=/mutate-heaven-trishanku-org-v1alpha1-automatedmerge,mutating=true,failurePolicy=fail,matchPolicy=Equivalent,groups=heaven.trishanku.org,resources=automatedmerges,versions=v1alpha1,name=default.automatedmerge.heaven.trishanku.org,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/validate-heaven-trishanku-org-v1alpha1-automatedmerge,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=heaven.trishanku.org,resources=automatedmerges,versions=v1alpha1,name=validation.automatedmerge.heaven.trishanku.org,sideEffects=None,admissionReviewVersions=v1

var merges = admit.Kind[*heavenv1.AutomatedMerge]{
	GroupKind: heavenv1.GroupVersion.WithKind("AutomatedMerge").GroupKind(),
	New:       func() *heavenv1.AutomatedMerge { return &heavenv1.AutomatedMerge{} },
	Spec:      func(m *heavenv1.AutomatedMerge) any { return m.Spec },
	Default:   defaultMerge,
	Validate:  validateMerge,
	Change: func(before, after *heavenv1.AutomatedMerge) field.ErrorList {
		spec := field.NewPath("spec")
		errs := rules.StorageChange(spec.Child("storage"), before.Spec.Storage, after.Spec.Storage)
		if b, a := before.Spec.Branches.Main, after.Spec.Branches.Main; b != "" && a != b {
			errs = append(errs, field.Forbidden(spec.Child("branches", "main"), fmt.Sprintf("all heavens merge back %s; keep it", b)))
		}
		return errs
	},
}

func defaultMerge(m *heavenv1.AutomatedMerge) {
	s := &m.Spec
	rules.DefaultService(&s.Service, corev1.ServiceTypeNodePort, heavenv1.HubPort)
	s.Storage = rules.DefaultStorage(s.Storage, rules.HubStorageSize)
	if s.Branches.Main == "" {
		s.Branches.Main = heavenv1.MainBranch
	}
	if len(s.Branches.Prefixes) == 0 {
		s.Branches.Prefixes = []string{heavenv1.HeavenBranchPrefix, heavenv1.NodeBranchPrefix}
	}
	if s.Branches.Genesis == "" {
		s.Branches.Genesis = heavenv1.HeavenBranchPrefix + heavenv1.FrontDoor
	}
	if s.ClusterName == "" {
		return
	}
	if s.RepositoryRef.Name == "" {
		s.RepositoryRef.Name = s.ClusterName
	}
	if s.GitCA == "" {
		s.GitCA = s.ClusterName + "-git-ca"
	}
}

func validateMerge(m *heavenv1.AutomatedMerge) field.ErrorList {
	spec, branches := field.NewPath("spec"), m.Spec.Branches
	errs := serviceName(m.Name, m.Name+"-"+heavenv1.HubComponent)
	errs = append(errs, rules.Storage(spec.Child("storage"), m.Spec.Storage)...)
	errs = append(errs, rules.Service(spec.Child("service"), &m.Spec.Service)...)
	errs = append(errs, rules.Merge(spec, &m.Spec.MergeRules)...)
	received := false
	for i, p := range branches.Prefixes {
		received = received || strings.HasPrefix(branches.Genesis, p)
		if strings.HasPrefix(branches.Main, p) {
			errs = append(errs, field.Invalid(spec.Child("branches", "prefixes").Index(i), p,
				fmt.Sprintf("covers %s, which the hub merges into and receives from nobody", branches.Main)))
		}
	}
	if !received {
		errs = append(errs, field.Invalid(spec.Child("branches", "genesis"), branches.Genesis,
			"is below none of branches.prefixes, so main could never be created; write a branch below one of them"))
	}
	return errs
}
