// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ownNames begin the names of a heaven's own containers and volumes.
var ownNames = []string{"gitcd", "kube-apiserver"}

// PodTemplate checks a component's pod, as far as its becoming a part of the heaven's pod goes; the host cluster checks the rest.
func PodTemplate(path *field.Path, t *corev1.PodTemplateSpec) field.ErrorList {
	spec := path.Child("spec")
	errs := metav1validation.ValidateLabels(t.Labels, path.Child("metadata", "labels"))
	errs = append(errs, apivalidation.ValidateAnnotations(t.Annotations, path.Child("metadata", "annotations"))...)
	if len(t.Spec.Containers) == 0 {
		errs = append(errs, field.Required(spec.Child("containers"), "write at least one container: the component"))
	}
	names := sets.New[string]()
	for _, list := range []struct {
		field      string
		containers []corev1.Container
	}{{"containers", t.Spec.Containers}, {"initContainers", t.Spec.InitContainers}} {
		for i := range list.containers {
			c, at := &list.containers[i], spec.Child(list.field).Index(i)
			errs = append(errs, partName(at.Child("name"), c.Name, names)...)
			if c.Image == "" {
				errs = append(errs, field.Required(at.Child("image"), "write the component's image"))
			}
		}
	}
	volumes := sets.New[string]()
	for i := range t.Spec.Volumes {
		errs = append(errs, partName(spec.Child("volumes").Index(i).Child("name"), t.Spec.Volumes[i].Name, volumes)...)
	}
	if t.Spec.HostNetwork {
		errs = append(errs, field.Forbidden(spec.Child("hostNetwork"), "the heaven's API server listens on the pod's own loopback address; leave it out"))
	}
	if p := t.Spec.RestartPolicy; p != "" && p != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(spec.Child("restartPolicy"), p, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	return errs
}

func partName(path *field.Path, name string, seen sets.Set[string]) field.ErrorList {
	var errs field.ErrorList
	if msgs := validation.IsDNS1123Label(name); len(msgs) > 0 {
		errs = append(errs, field.Invalid(path, name, strings.Join(msgs, "; ")))
	}
	for _, own := range ownNames {
		if strings.HasPrefix(name, own) {
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("names that begin with %s are the heaven's own; choose another", own)))
		}
	}
	if seen.Has(name) {
		errs = append(errs, field.Duplicate(path, name))
	}
	seen.Insert(name)
	return errs
}
