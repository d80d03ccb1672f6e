// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import "github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"

// Object is an object on its way into a store.
type Object struct {
	Kind gitobj.Kind
	ID   gitobj.ID
	// Data is the full content.
	Data []byte
	// Base and Delta say how Data comes out of another object's content. Optional: a hint that saves space.
	Base  gitobj.ID
	Delta []byte
}
