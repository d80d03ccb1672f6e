// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package admit

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	infrav1 "github.com/trishanku-org/cluster-api-provider-headless/api/infrastructure/v1alpha1"
)

// picky refuses every object and every change.
var picky = Kind[*infrav1.GitBackedMachineTemplate]{
	GroupKind: infrav1.GroupVersion.WithKind("GitBackedMachineTemplate").GroupKind(),
	New:       func() *infrav1.GitBackedMachineTemplate { return &infrav1.GitBackedMachineTemplate{} },
	Spec:      func(t *infrav1.GitBackedMachineTemplate) any { return t.Spec },
	Default:   func(t *infrav1.GitBackedMachineTemplate) { t.Spec.Template.Spec.ProviderID = "x://y" },
	Validate: func(*infrav1.GitBackedMachineTemplate) field.ErrorList {
		return field.ErrorList{field.Required(field.NewPath("spec", "a"), "write a")}
	},
	Change: func(_, _ *infrav1.GitBackedMachineTemplate) field.ErrorList {
		return field.ErrorList{field.Forbidden(field.NewPath("spec", "b"), "keep b")}
	},
}

// frozen has only a frozen part.
var frozen = Kind[*infrav1.GitBackedMachineTemplate]{
	GroupKind: picky.GroupKind, New: picky.New, Spec: picky.Spec,
	Frozen: func(t *infrav1.GitBackedMachineTemplate) any { return t.Spec.Template.Spec },
}

func template(id string) *infrav1.GitBackedMachineTemplate {
	t := &infrav1.GitBackedMachineTemplate{}
	t.Name = "t"
	t.Spec.Template.Spec.ProviderID = id
	return t
}

// request is the context in which a webhook is called for an object.
func request(t *testing.T, object any, dryRun bool) context.Context {
	t.Helper()
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return admission.NewContextWithRequest(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Object: runtime.RawExtension{Raw: raw}, DryRun: &dryRun,
	}})
}

func TestEveryReasonAtOnce(t *testing.T) {
	t.Parallel()
	after := template("z://z")
	_, err := validator[*infrav1.GitBackedMachineTemplate]{&picky}.ValidateUpdate(request(t, after, false), template("a://a"), after)
	if err == nil || !strings.Contains(err.Error(), "spec.a") || !strings.Contains(err.Error(), "keep b") {
		t.Fatalf("want both reasons, got %v", err)
	}
}

func TestW1NoWayOutIsBarred(t *testing.T) {
	t.Parallel()
	v := validator[*infrav1.GitBackedMachineTemplate]{&picky}
	t.Run("unchanged spec", func(t *testing.T) {
		t.Parallel()
		before, after := template("a://a"), template("a://a")
		before.Finalizers = []string{"f/f"}
		after.Annotations = map[string]string{"clusterctl.cluster.x-k8s.io/delete-for-move": ""}
		if _, err := v.ValidateUpdate(request(t, after, false), before, after); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("being deleted", func(t *testing.T) {
		t.Parallel()
		after := template("z://z")
		after.DeletionTimestamp = new(metav1.Now())
		if _, err := v.ValidateUpdate(request(t, after, false), template("a://a"), after); err != nil {
			t.Fatal(err)
		}
		after.Spec.Template.Spec.ProviderID = ""
		if err := (defaulter[*infrav1.GitBackedMachineTemplate]{&picky}).Default(t.Context(), after); err != nil || after.Spec.Template.Spec.ProviderID != "" {
			t.Fatalf("what is being deleted was defaulted: %v", err)
		}
	})
	t.Run("deletion", func(t *testing.T) {
		t.Parallel()
		if _, err := v.ValidateDelete(t.Context(), template("")); err != nil {
			t.Fatal(err)
		}
	})
}

func TestW2NothingIsDropped(t *testing.T) {
	t.Parallel()
	kind := Kind[*infrav1.GitBackedMachineTemplate]{GroupKind: picky.GroupKind, New: picky.New, Spec: picky.Spec}
	object := map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"externl": map[string]any{}}}}}
	_, err := validator[*infrav1.GitBackedMachineTemplate]{&kind}.ValidateCreate(request(t, object, false), template(""))
	if err == nil || !strings.Contains(err.Error(), "spec.template.spec.externl: Forbidden: there is no such field") {
		t.Fatalf("want the typo named, got %v", err)
	}
}

func TestW4DryRunsPass(t *testing.T) {
	t.Parallel()
	v := validator[*infrav1.GitBackedMachineTemplate]{&frozen}
	after := template("z://z")
	if _, err := v.ValidateUpdate(request(t, after, false), template("a://a"), after); err == nil || !strings.Contains(err.Error(), "create one with a new name") {
		t.Fatalf("want a frozen template with the mend, got %v", err)
	}
	if _, err := v.ValidateUpdate(request(t, after, true), template("a://a"), after); err == nil {
		t.Fatal("a dry run that is no topology's changed a template")
	}
	after.Annotations = map[string]string{clusterv1.TopologyDryRunAnnotation: ""}
	if _, err := v.ValidateUpdate(request(t, after, true), template("a://a"), after); err != nil {
		t.Fatalf("a topology's dry run was refused: %v", err)
	}
}
