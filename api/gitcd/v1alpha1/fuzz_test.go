// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"reflect"
	"testing"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
)

// FuzzLoad reads any file: a configuration that is taken says the same when it is written and read again.
func FuzzLoad(f *testing.F) {
	f.Add([]byte("apiVersion: gitcd.trishanku.org/v1alpha1\nkind: Config\nrepository: /r.git\nbranch: x\nlisteners:\n- url: unix:///s\n"))
	f.Add([]byte("apiVersion: gitcd.trishanku.org/v1alpha1\nkind: Config\nrepository: /r.git\nbranch: x\nlisteners:\n- url: http://127.0.0.1:1\ngrains:\n- prefix: /a\n  grain: Local\nleaseDuration: 3s\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := gitcdv1.Load(file)
		if err != nil {
			return
		}
		data, err := c.Marshal()
		if err != nil {
			t.Fatalf("write what was read: %v", err)
		}
		again, err := gitcdv1.Load(data)
		if err != nil {
			t.Fatalf("read what was written: %v\n%s", err, data)
		}
		if !reflect.DeepEqual(c, again) {
			t.Fatalf("read again it is different:\n%+v\n%+v", c, again)
		}
	})
}
