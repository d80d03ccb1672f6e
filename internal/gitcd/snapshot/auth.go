// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// The buckets of etcd's users and roles, and what is on in the bucket auth.
var (
	bucketRoles = []byte("authRoles")
	bucketUsers = []byte("authUsers")
	authEnabled = []byte("authEnabled")
)

// Auth is what etcd keeps of who may do what. It is read so that nobody loses it
// unawares, and never written: of passwords and permissions nothing is read.
type Auth struct {
	Enabled      bool
	Users, Roles []string
}

// IsZero says that there are neither users nor roles, and that nobody is asked who they are.
func (a Auth) IsZero() bool { return !a.Enabled && len(a.Users) == 0 && len(a.Roles) == 0 }

// String names what there is: auth is enabled, 2 users (root, joe), 1 role (root).
func (a Auth) String() string {
	parts := []string{"auth is disabled"}
	if a.Enabled {
		parts[0] = "auth is enabled"
	}
	named := func(noun string, names []string) {
		switch len(names) {
		case 0:
		case 1:
			parts = append(parts, fmt.Sprintf("1 %s (%s)", noun, names[0]))
		default:
			parts = append(parts, fmt.Sprintf("%d %ss (%s)", len(names), noun, strings.Join(names, ", ")))
		}
	}
	named("user", a.Users)
	named("role", a.Roles)
	return strings.Join(parts, ", ")
}

// readAuth reads it of a database.
func readAuth(tx *bolt.Tx) (a Auth, err error) {
	if b := tx.Bucket(bucketAuth); b != nil {
		on := b.Get(authEnabled)
		a.Enabled = len(on) == 1 && on[0] == 1
	}
	for name, list := range map[string]*[]string{string(bucketUsers): &a.Users, string(bucketRoles): &a.Roles} {
		b := tx.Bucket([]byte(name))
		if b == nil {
			continue
		}
		err := b.ForEach(func(k, _ []byte) error {
			*list = append(*list, string(k))
			return nil
		})
		if err != nil {
			return a, fmt.Errorf("read %s: %w", name, err)
		}
	}
	return a, nil
}
