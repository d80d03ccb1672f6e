// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	bootstrapv1 "github.com/trishanku-org/cluster-api-provider-headless/api/bootstrap/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/admit"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/webhooks/rules"
)

// +kubebuilder:webhook:verbs=create;update,path=/validate-bootstrap-cluster-x-k8s-io-v1alpha1-headlessconfig,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=bootstrap.cluster.x-k8s.io,resources=headlessconfigs,versions=v1alpha1,name=validation.headlessconfig.bootstrap.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1
// +kubebuilder:webhook:verbs=create;update,path=/validate-bootstrap-cluster-x-k8s-io-v1alpha1-headlessconfigtemplate,mutating=false,failurePolicy=fail,matchPolicy=Equivalent,groups=bootstrap.cluster.x-k8s.io,resources=headlessconfigtemplates,versions=v1alpha1,name=validation.headlessconfigtemplate.bootstrap.cluster.x-k8s.io,sideEffects=None,admissionReviewVersions=v1

var configs = admit.Kind[*bootstrapv1.HeadlessConfig]{
	GroupKind: bootstrapv1.GroupVersion.WithKind("HeadlessConfig").GroupKind(),
	New:       func() *bootstrapv1.HeadlessConfig { return &bootstrapv1.HeadlessConfig{} },
	Spec:      func(c *bootstrapv1.HeadlessConfig) any { return c.Spec },
	Validate: func(c *bootstrapv1.HeadlessConfig) field.ErrorList {
		return validateConfig(field.NewPath("spec"), &c.Spec)
	},
}

// A config template may change: new machines get what it says, old ones keep what they have.
var configTemplates = admit.Kind[*bootstrapv1.HeadlessConfigTemplate]{
	GroupKind: bootstrapv1.GroupVersion.WithKind("HeadlessConfigTemplate").GroupKind(),
	New:       func() *bootstrapv1.HeadlessConfigTemplate { return &bootstrapv1.HeadlessConfigTemplate{} },
	Spec:      func(t *bootstrapv1.HeadlessConfigTemplate) any { return t.Spec },
	Validate: func(t *bootstrapv1.HeadlessConfigTemplate) field.ErrorList {
		path := field.NewPath("spec", "template")
		errs := t.Spec.Template.ObjectMeta.Validate(path.Child("metadata"))
		return append(errs, validateConfig(path.Child("spec"), &t.Spec.Template.Spec)...)
	},
}

func validateConfig(spec *field.Path, s *bootstrapv1.HeadlessConfigSpec) field.ErrorList {
	errs := labels(spec.Child("labels"), s.Labels)
	errs = append(errs, taints(spec.Child("taints"), s.Taints)...)
	errs = append(errs, rules.Arguments(spec.Child("kubelet", "extraArgs"), s.Kubelet.ExtraArgs, rules.KubeletFlags)...)
	errs = append(errs, kubeletConfig(spec.Child("kubelet", "config"), s.Kubelet.Config)...)
	return append(errs, files(spec.Child("files"), s.Files)...)
}

// kubeletLabels are those labels below kubernetes.io and k8s.io that NodeRestriction lets a kubelet give its Node.
var kubeletLabels = sets.New(
	corev1.LabelHostname, corev1.LabelArchStable, corev1.LabelOSStable, corev1.LabelInstanceTypeStable,
	corev1.LabelTopologyZone, corev1.LabelTopologyRegion, corev1.LabelInstanceType,
	corev1.LabelFailureDomainBetaZone, corev1.LabelFailureDomainBetaRegion,
	"beta.kubernetes.io/os", "beta.kubernetes.io/arch", corev1.LabelWindowsBuild,
)

func labels(path *field.Path, all map[string]string) field.ErrorList {
	errs := metav1validation.ValidateLabels(all, path)
	for key := range all {
		prefix, _, ok := strings.Cut(key, "/")
		if !ok || kubeletLabels.Has(key) {
			continue
		}
		for _, own := range []string{"kubernetes.io", "k8s.io"} {
			below := prefix == own || strings.HasSuffix(prefix, "."+own)
			mayBelow := strings.HasSuffix("."+prefix, ".kubelet."+own) || strings.HasSuffix("."+prefix, ".node."+own)
			if below && !mayBelow {
				errs = append(errs, field.Forbidden(path.Key(key), "a kubelet may not give its Node this label; use another prefix, or the Machine's labels below node.cluster.x-k8s.io"))
			}
		}
	}
	return errs
}

func taints(path *field.Path, all []corev1.Taint) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, t := range all {
		at := path.Index(i)
		for _, msg := range validation.IsQualifiedName(t.Key) {
			errs = append(errs, field.Invalid(at.Child("key"), t.Key, msg))
		}
		for _, msg := range validation.IsValidLabelValue(t.Value) {
			errs = append(errs, field.Invalid(at.Child("value"), t.Value, msg))
		}
		switch t.Effect {
		case corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute:
		default:
			errs = append(errs, field.NotSupported(at.Child("effect"), t.Effect,
				[]corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}))
		}
		if id := t.Key + ":" + string(t.Effect); seen.Has(id) {
			errs = append(errs, field.Duplicate(at, id))
		} else {
			seen.Insert(id)
		}
	}
	return errs
}

// ownKubeletFields are the fields of KubeletConfiguration that follow from elsewhere.
var ownKubeletFields = map[string]string{
	"providerID":               "it is the infrastructure machine's spec.providerID",
	"registerWithTaints":       "write taints",
	"containerRuntimeEndpoint": "the node's services decide it",
}

func kubeletConfig(path *field.Path, raw *runtime.RawExtension) field.ErrorList {
	if raw == nil || len(raw.Raw) == 0 {
		return nil
	}
	var config map[string]any
	if err := json.Unmarshal(raw.Raw, &config); err != nil {
		return field.ErrorList{field.Invalid(path, string(raw.Raw), "is no object; write fields of KubeletConfiguration")}
	}
	var errs field.ErrorList
	for _, f := range []struct{ name, want string }{{"apiVersion", "kubelet.config.k8s.io/v1beta1"}, {"kind", "KubeletConfiguration"}} {
		if got, ok := config[f.name]; ok && got != f.want {
			errs = append(errs, field.Invalid(path.Child(f.name), got, fmt.Sprintf("write %s, or leave it out", f.want)))
		}
	}
	for name, reason := range ownKubeletFields {
		if _, ok := config[name]; ok {
			errs = append(errs, field.Forbidden(path.Child(name), "cannot be set here: "+reason))
		}
	}
	return errs
}

func files(path *field.Path, all []bootstrapv1.File) field.ErrorList {
	var errs field.ErrorList
	for i, f := range all {
		at := path.Index(i)
		if (f.Content == nil) == (f.ContentFrom == nil) {
			errs = append(errs, field.Invalid(at, f.Path, "set exactly one of content and contentFrom"))
		}
		if f.Content == nil || f.Encoding != bootstrapv1.FileBase64 {
			continue
		}
		if _, err := base64.StdEncoding.DecodeString(*f.Content); err != nil {
			errs = append(errs, field.Invalid(at.Child("content"), f.Path, fmt.Sprintf("encoding says base64, but the content is not: %v", err)))
		}
	}
	return errs
}
