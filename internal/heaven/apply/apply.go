// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package apply brings objects to what they shall be, by server-side apply.
//
//	wanted --> without what is empty --> covered by what exists? --yes--> nothing is written
//	                                            |
//	                                            +--no--> server-side apply, with a digest of what was wanted
//
// Laws:
//
//  1. What is as it shall be is not written: a reconcile that has nothing to do has nothing to say.
//  2. What others set beside ours stays; what they change of ours is set back; what is no longer wanted goes.
//  3. What belongs to somebody else is never touched, and the error says whose it is.
package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// DigestAnnotation is on each applied object: the digest of what was wanted when it was applied last. By it, a field that
// is wanted no longer is noticed although nothing that is wanted differs.
const DigestAnnotation = "heaven.trishanku.org/applied-digest"

// Applier applies objects in the name of one field owner.
type Applier struct {
	Client client.Client
	Owner  client.FieldOwner
	// Live reads past the cache of Client, which may be late, or blind to what lacks our labels. Nil: Client does.
	Live client.Reader
}

// Apply brings want about. have receives what exists afterwards; it is of want's type. The answer says whether anything
// was written. An object that is being deleted is left alone.
func (a Applier) Apply(ctx context.Context, want, have client.Object) (bool, error) {
	wanted, err := wantedFields(want)
	if err != nil {
		return false, err
	}
	what := fmt.Sprintf("%s %s", wanted.GetKind(), client.ObjectKeyFromObject(want))
	err = a.get(ctx, client.ObjectKeyFromObject(want), have)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return false, fmt.Errorf("read %s: %w", what, err)
	default:
		if foreign := owner(have, want); foreign != "" {
			return false, fmt.Errorf("apply %s: it exists and belongs to %s; delete or rename it, or rename what needs the name", what, foreign)
		}
		existing, err := runtime.DefaultUnstructuredConverter.ToUnstructured(have)
		if err != nil {
			return false, fmt.Errorf("compare %s: %w", what, err)
		}
		if !have.GetDeletionTimestamp().IsZero() || covers(existing, withoutKind(wanted.Object)) {
			return false, nil
		}
	}
	if err := a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), a.Owner, client.ForceOwnership); err != nil {
		return false, fmt.Errorf("apply %s: %w", what, err)
	}
	// What exists afterwards is the server's answer; what was there before must not shine through.
	value := reflect.ValueOf(have).Elem()
	value.Set(reflect.Zero(value.Type()))
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(wanted.Object, have); err != nil {
		return false, fmt.Errorf("read applied %s: %w", what, err)
	}
	return true, nil
}

// get believes the cache when it has the object. An absence it believes only the server.
func (a Applier) get(ctx context.Context, key client.ObjectKey, have client.Object) error {
	err := a.Client.Get(ctx, key, have)
	if apierrors.IsNotFound(err) && a.Live != nil {
		return a.Live.Get(ctx, key, have)
	}
	return err
}

// wantedFields are the fields that want says something about, and the digest of them.
func wantedFields(want client.Object) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(want)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", want.GetName(), err)
	}
	delete(fields, "status")
	prune(fields)
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", want.GetName(), err)
	}
	digest := sha256.Sum256(text)
	wanted := &unstructured.Unstructured{Object: fields}
	if wanted.GetKind() == "" {
		return nil, fmt.Errorf("encode %s: an object that is applied must name its kind", want.GetName())
	}
	annotations := maps.Clone(wanted.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[DigestAnnotation] = hex.EncodeToString(digest[:8])
	wanted.SetAnnotations(annotations)
	return wanted, nil
}

// prune drops null values, which Go's zero times become.
func prune(fields map[string]any) {
	for key, value := range fields {
		switch value := value.(type) {
		case nil:
			delete(fields, key)
		case map[string]any:
			prune(value)
		case []any:
			for _, element := range value {
				if m, ok := element.(map[string]any); ok {
					prune(m)
				}
			}
		}
	}
}

// covers says whether have holds everything that want says. Lists are wholes, except the owner references, which others
// add to.
func covers(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		return coversMap(have, want)
	case []any:
		return coversList(have, want)
	default:
		return reflect.DeepEqual(have, want)
	}
}

func coversMap(have any, want map[string]any) bool {
	m, ok := have.(map[string]any)
	if !ok {
		return len(want) == 0 && have == nil
	}
	for key, value := range want {
		holds := covers
		if key == "ownerReferences" {
			holds = contains
		}
		if !holds(m[key], value) {
			return false
		}
	}
	return true
}

func coversList(have any, want []any) bool {
	l, ok := have.([]any)
	if !ok {
		return len(want) == 0 && have == nil
	}
	return slices.EqualFunc(l, want, covers)
}

func contains(have, want any) bool {
	haves, _ := have.([]any)
	wants, _ := want.([]any)
	for _, w := range wants {
		found := false
		for _, h := range haves {
			found = found || covers(h, w)
		}
		if !found {
			return false
		}
	}
	return true
}

// withoutKind leaves out what a typed object that was read does not carry.
func withoutKind(fields map[string]any) map[string]any {
	fields = maps.Clone(fields)
	delete(fields, "apiVersion")
	delete(fields, "kind")
	return fields
}

// owner names whose an existing object is if it is not ours. Ours has the same controller, or no controller and the same
// cluster and component.
func owner(have, want client.Object) string {
	theirs, ours := metav1.GetControllerOf(have), metav1.GetControllerOf(want)
	switch {
	case theirs != nil && ours != nil && theirs.UID == ours.UID:
		return ""
	case theirs != nil:
		return fmt.Sprintf("%s %s", theirs.Kind, theirs.Name)
	}
	for key, value := range want.GetLabels() {
		if key == clusterv1.ClusterNameLabel && have.GetLabels()[key] != value {
			return fmt.Sprintf("cluster %q (label %s)", have.GetLabels()[key], key)
		}
	}
	return ""
}
