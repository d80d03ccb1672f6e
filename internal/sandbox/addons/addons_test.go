// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package addons

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// objects parses a rendered manifest.
func objects(t *testing.T, content []byte) []unstructured.Unstructured {
	t.Helper()
	var all []unstructured.Unstructured
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		o := unstructured.Unstructured{}
		err := d.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
}

func TestManifestsRenderToNamedObjects(t *testing.T) {
	v := values{DNS: "10.0.0.10", ImageCoreDNS: "dns:1", ImageCertManager: "cm:1", Provisioner: "p/q"}
	for _, a := range []Addon{Storage, DNS, CertManager} {
		deployments := map[string]bool{}
		for _, f := range a.files {
			content, err := render(f, v)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(content), "{{") {
				t.Errorf("%s is not wholly rendered", f)
			}
			for _, o := range objects(t, content) {
				if o.GetKind() == "" || o.GetName() == "" {
					t.Errorf("%s holds an object without kind or name: %v", f, o.Object)
				}
				if o.GetKind() == "Deployment" {
					deployments[o.GetNamespace()+"/"+o.GetName()] = true
				}
			}
		}
		for _, d := range a.deployments {
			if !deployments[d] {
				t.Errorf("%s waits for Deployment %s, which it does not apply", a.Name, d)
			}
		}
	}
}
