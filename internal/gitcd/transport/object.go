// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// Object is one whole object on the move.
type Object = pack.Object

// Objects is a place that objects can be read from. It is complete: an object
// that it has, it has with everything that object names.
type Objects interface {
	// Get returns an object's kind and content. The caller does not change the content.
	Get(id gitobj.ID) (gitobj.Kind, []byte, error)
	// Has says whether Get would find the object, without reading it.
	Has(id gitobj.ID) bool
}

// Repository is what a server serves: objects, and the refs that name them.
type Repository interface {
	Objects
	// Refs returns the refs whose names begin with prefix. The caller owns the map.
	Refs(prefix string) map[string]gitobj.ID // ref -> head
}

// Command asks to move one ref. A Zero Old means that the ref must not exist.
type Command struct {
	Name     string
	Old, New gitobj.ID
}

// Limits bound what is taken in. The zero value of a field means its default.
type Limits struct {
	// PackBytes is the longest pack on the wire. Default 256 MiB.
	PackBytes int64
	// Objects is the largest number of objects in a pack. Default 1,048,576.
	Objects int
	// ObjectBytes is the largest single object. Default 32 MiB.
	ObjectBytes int64
	// TotalBytes is the most that a pack's objects may hold together, inflated. Default 512 MiB.
	TotalBytes int64
	// Commands is the largest number of refs that one push may move. Default 64.
	Commands int
}

func (l Limits) withDefaults() Limits {
	if l.PackBytes <= 0 {
		l.PackBytes = 256 << 20
	}
	if l.Objects <= 0 {
		l.Objects = 1 << 20
	}
	if l.ObjectBytes <= 0 {
		l.ObjectBytes = 32 << 20
	}
	if l.TotalBytes <= 0 {
		l.TotalBytes = 512 << 20
	}
	if l.Commands <= 0 {
		l.Commands = 64
	}
	return l
}
