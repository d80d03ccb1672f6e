// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package infrastructure

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/admit"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/rules"
)

// +kubebuilder:webhook:verbs=create;update,path=/mutate-infrastructure-cluster-x-k8s-io-v1alpha1-gitbackedcluster,mutating=true,failurePolicy=fail,matchPolicy=Equivalent,groups=infrastructure.cluster.x-k8s.io,resources=gitbackedclusters,versions=v1alpha1,name=default.gitbackedcluster.infrastructure.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/validate-infrastructure-cluster-x-k8s-io-v1alpha1-gitbackedcluster,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=infrastructure.cluster.x-k8s.io,resources=gitbackedclusters,versions=v1alpha1,name=validation.gitbackedcluster.infrastructure.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/validate-infrastructure-cluster-x-k8s-io-v1alpha1-gitbackedclustertemplate,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=infrastructure.cluster.x-k8s.io,resources=gitbackedclustertemplates,versions=v1alpha1,name=validation.gitbackedclustertemplate.infrastructure.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/mutate-heaven-trishanku-org-v1alpha1-gitrepository,mutating=true,failurePolicy=fail,matchPolicy=Equivalent,groups=heaven.trishanku.org,resources=gitrepositories,versions=v1alpha1,name=default.gitrepository.heaven.trishanku.org,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/validate-heaven-trishanku-org-v1alpha1-gitrepository,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=heaven.trishanku.org,resources=gitrepositories,versions=v1alpha1,name=validation.gitrepository.heaven.trishanku.org,sideEffects=None,admissionReviewVersions=v1

var clusters = admit.Kind[*infrav1.GitBackedCluster]{
	GroupKind: infrav1.GroupVersion.WithKind("GitBackedCluster").GroupKind(),
	New:       func() *infrav1.GitBackedCluster { return &infrav1.GitBackedCluster{} },
	Spec:      func(c *infrav1.GitBackedCluster) any { return c.Spec },
	Default: func(c *infrav1.GitBackedCluster) {
		defaultRepository(&c.Spec.Repository.Forge, &c.Spec.Repository.DeletionPolicy)
	},
	Validate: func(c *infrav1.GitBackedCluster) field.ErrorList {
		return validateCluster(field.NewPath("spec"), &c.Spec)
	},
}

var clusterTemplates = admit.Kind[*infrav1.GitBackedClusterTemplate]{
	GroupKind: infrav1.GroupVersion.WithKind("GitBackedClusterTemplate").GroupKind(),
	New:       func() *infrav1.GitBackedClusterTemplate { return &infrav1.GitBackedClusterTemplate{} },
	Spec:      func(t *infrav1.GitBackedClusterTemplate) any { return t.Spec },
	Validate: func(t *infrav1.GitBackedClusterTemplate) field.ErrorList {
		path := field.NewPath("spec", "template")
		errs := t.Spec.Template.ObjectMeta.Validate(path.Child("metadata"))
		return append(errs, validateCluster(path.Child("spec"), &t.Spec.Template.Spec)...)
	},
	Frozen: func(t *infrav1.GitBackedClusterTemplate) any { return t.Spec.Template.Spec },
}

var repositories = admit.Kind[*heavenv1.GitRepository]{
	GroupKind: heavenv1.GroupVersion.WithKind("GitRepository").GroupKind(),
	New:       func() *heavenv1.GitRepository { return &heavenv1.GitRepository{} },
	Spec:      func(r *heavenv1.GitRepository) any { return r.Spec },
	Default:   func(r *heavenv1.GitRepository) { defaultRepository(&r.Spec.Forge, &r.Spec.DeletionPolicy) },
	Validate: func(r *heavenv1.GitRepository) field.ErrorList {
		return rules.Forge(field.NewPath("spec", "forge"), &r.Spec.Forge)
	},
	Change: func(before, after *heavenv1.GitRepository) field.ErrorList {
		// Whoever kept the history in the hub's volume may have a forge keep it, too.
		if before.Spec.Forge.Type == after.Spec.Forge.Type || before.Spec.Forge.Type == heavenv1.ForgeNone {
			return nil
		}
		return field.ErrorList{field.Forbidden(field.NewPath("spec", "forge", "type"),
			"the history is at forge "+string(before.Spec.Forge.Type)+" and does not move; keep it")}
	},
}

func defaultRepository(forge *heavenv1.Forge, policy *heavenv1.DeletionPolicy) {
	if forge.Git != nil && forge.Git.Webhook.SecretRef.Name != "" && forge.Git.Webhook.Port == 0 {
		forge.Git.Webhook.Port = heavenv1.HooksPort
	}
	if forge.Type == "" {
		forge.Type = heavenv1.ForgeNone
	}
	if *policy == "" {
		*policy = heavenv1.DeletionDelete
	}
}

func validateCluster(spec *field.Path, s *infrav1.GitBackedClusterSpec) field.ErrorList {
	errs := rules.Endpoint(spec.Child("controlPlaneEndpoint"), s.ControlPlaneEndpoint.Host, s.ControlPlaneEndpoint.Port)
	return append(errs, rules.Forge(spec.Child("repository", "forge"), &s.Repository.Forge)...)
}
