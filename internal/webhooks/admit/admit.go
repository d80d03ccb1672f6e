// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package admit turns a kind's rules, which are pure functions, into admission webhooks.
//
//	request ─► Default (create, update) ─► schema ─► Validate, Change ─► stored, or refused with every reason at once
//
// # Laws
//
//	W1 No way out is barred. An object that is being deleted, or whose spec is unchanged, is always admitted: finalizers
//	                         leave, `clusterctl move` passes, and a rule that came later breaks no stored object.
//	W2 Nothing is dropped.   A field that our types do not know is refused, also where the schema keeps unknown fields.
//	W3 Defaults are stable.  Defaulting twice equals defaulting once, and never changes a field that was set.
//	W4 Dry runs pass.        A topology's server-side apply dry run may change what is frozen otherwise.
package admit

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/cluster-api/util/topology"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/json"
)

// Kind is the admission of one kind. Default, Validate, Change, Warn and Frozen may be nil.
type Kind[T client.Object] struct {
	// GroupKind that errors name.
	GroupKind schema.GroupKind

	// New returns an empty object.
	New func() T

	// Spec returns the object's spec.
	Spec func(T) any

	// Default fills in what the spec leaves out.
	Default func(T)

	// Validate says what is wrong with an object, whatever was before.
	Validate func(T) field.ErrorList

	// Change says what is wrong with a change.
	Change func(before, after T) field.ErrorList

	// Warn says what is allowed but worth a thought.
	Warn func(T) []string

	// Frozen returns the part of a template that never changes, but for dry runs of a topology.
	Frozen func(T) any
}

// SetupWithManager registers the webhooks.
func (k *Kind[T]) SetupWithManager(mgr ctrl.Manager) error {
	b := ctrl.NewWebhookManagedBy(mgr, k.New()).WithValidator(validator[T]{k})
	if k.Default != nil {
		b = b.WithDefaulter(defaulter[T]{k})
	}
	if err := b.Complete(); err != nil {
		return fmt.Errorf("set up webhooks of %s: %w", k.GroupKind, err)
	}
	return nil
}

type defaulter[T client.Object] struct{ kind *Kind[T] }

// Default implements admission.Defaulter.
func (d defaulter[T]) Default(_ context.Context, obj T) error {
	if obj.GetDeletionTimestamp().IsZero() {
		d.kind.Default(obj)
	}
	return nil
}

type validator[T client.Object] struct{ kind *Kind[T] }

// ValidateCreate implements admission.Validator.
func (v validator[T]) ValidateCreate(ctx context.Context, obj T) (admission.Warnings, error) {
	return v.judge(ctx, obj, v.kind.validate(obj))
}

// ValidateUpdate implements admission.Validator.
func (v validator[T]) ValidateUpdate(ctx context.Context, before, after T) (admission.Warnings, error) {
	if !after.GetDeletionTimestamp().IsZero() || equality.Semantic.DeepEqual(v.kind.Spec(before), v.kind.Spec(after)) {
		return nil, nil
	}
	errs := v.kind.validate(after)
	if v.kind.Change != nil {
		errs = append(errs, v.kind.Change(before, after)...)
	}
	if v.kind.Frozen != nil && !equality.Semantic.DeepEqual(v.kind.Frozen(before), v.kind.Frozen(after)) {
		req, err := admission.RequestFromContext(ctx)
		if err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("validate %s: %v", v.kind.GroupKind, err))
		}
		if !topology.IsDryRunRequest(req, after) {
			errs = append(errs, field.Forbidden(field.NewPath("spec", "template", "spec"),
				"a template in use never changes; create one with a new name and refer to that"))
		}
	}
	return v.judge(ctx, after, errs)
}

// ValidateDelete implements admission.Validator.
func (v validator[T]) ValidateDelete(context.Context, T) (admission.Warnings, error) { return nil, nil }

func (k *Kind[T]) validate(obj T) field.ErrorList {
	if k.Validate == nil {
		return nil
	}
	return k.Validate(obj)
}

func (v validator[T]) judge(ctx context.Context, obj T, errs field.ErrorList) (admission.Warnings, error) {
	errs = append(errs, v.unknownFields(ctx)...)
	var warnings admission.Warnings
	if v.kind.Warn != nil {
		warnings = v.kind.Warn(obj)
	}
	if len(errs) == 0 {
		return warnings, nil
	}
	return warnings, apierrors.NewInvalid(v.kind.GroupKind, obj.GetName(), errs)
}

// unknownFields finds what the schema let through and our types would drop.
func (v validator[T]) unknownFields(ctx context.Context) field.ErrorList {
	req, err := admission.RequestFromContext(ctx)
	if err != nil || len(req.Object.Raw) == 0 {
		return nil
	}
	unknown, err := json.UnmarshalStrict(req.Object.Raw, v.kind.New())
	if err != nil {
		return field.ErrorList{field.Invalid(nil, "", err.Error())}
	}
	var errs field.ErrorList
	for _, u := range unknown {
		name := strings.Trim(strings.TrimPrefix(u.Error(), "unknown field "), `"`)
		errs = append(errs, field.Forbidden(field.NewPath(name), "there is no such field; look for a typo"))
	}
	return errs
}
