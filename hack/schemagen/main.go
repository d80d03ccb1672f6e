// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Command schemagen writes the table of internal/gitcd/schema: what of the
// types of Kubernetes a merge has to know, taken from their published schemas.
//
//	published schemas ─► types ─► less what says nothing ─► equal types once ─► the table
//
// A field says nothing if it merges as its value looks: an object field by
// field, all else as one value. Metadata of an object, and conditions, are the
// business of the rules for all kinds: that leaves nothing of
// CustomResourceDefinitions and APIServices. The table
// goes to the standard output.
package main

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
)

// source is the module whose version the table names.
const source = "k8s.io/client-go"

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	g := newGraph()
	kinds := map[string]*node{}
	if err := g.addKinds(kinds); err != nil {
		return err
	}
	if err := g.addUnions(); err != nil {
		return err
	}
	g.prune()
	if _, err := io.WriteString(out, g.table(kinds)); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// addKinds adds the types of all kinds of objects that are stored: reviews and
// the like are asked, never applied, and a Scale is a view of something else.
func (g *graph) addKinds(kinds map[string]*node) error {
	converter := applyconfigurations.NewTypeConverter(scheme.Scheme)
	for gvk, goType := range scheme.Scheme.AllKnownTypes() {
		if !isObject(goType) || applyconfigurations.ForKind(gvk) == nil || gvk.Kind == "Scale" {
			continue
		}
		object, err := scheme.Scheme.New(gvk)
		if err != nil {
			return fmt.Errorf("collect %s: %w", gvk, err)
		}
		object.GetObjectKind().SetGroupVersionKind(gvk)
		value, err := converter.ObjectToTyped(object)
		if err != nil {
			return fmt.Errorf("collect %s: %w", gvk, err)
		}
		g.published = value.Schema()
		_, n := g.describe(value.TypeRef(), kindName(gvk))
		if n == nil {
			return fmt.Errorf("collect %s: it has no fields", gvk)
		}
		kinds[kindName(gvk)] = n
	}
	return nil
}

// isObject says whether a type is one of objects, not of lists of them or of options.
func isObject(t reflect.Type) bool {
	_, meta := t.FieldByName("ObjectMeta")
	return meta
}

func kindName(gvk schema.GroupVersionKind) string {
	return gvk.GroupVersion().String() + " " + gvk.Kind
}

// version returns the version of the module that the schemas come from.
func version() string {
	info, _ := debug.ReadBuildInfo()
	if i := slices.IndexFunc(info.Deps, func(d *debug.Module) bool { return d.Path == source }); i >= 0 {
		return info.Deps[i].Version
	}
	return "of an unknown version"
}

// shorten makes the name of a published type one that a person reads with ease.
func shorten(name string) string {
	for _, prefix := range []string{"io.k8s.api.", "io.k8s.apimachinery.pkg.apis.", "io.k8s.apiextensions-apiserver.pkg.apis.", "io.k8s."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return rest
		}
	}
	return name
}
