// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gitobj

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // Git's objects are named by it
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"sync"

	"github.com/pjbgf/sha1cd"
)

// IDSize is the length of an ID in bytes.
const IDSize = 20

// ID names an object by the SHA-1 of its header and content.
type ID [IDSize]byte

// Zero is the id that names nothing.
var Zero ID

// ParseID reads an id from its 40 hexadecimal digits.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 2*IDSize {
		return Zero, fmt.Errorf("parse id %q: want %d hexadecimal digits, have %d bytes", s, 2*IDSize, len(s))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return Zero, fmt.Errorf("parse id %q: %w", s, err)
	}
	return id, nil
}

// String returns the id as 40 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// IsZero says whether the id names nothing.
func (id ID) IsZero() bool { return id == Zero }

// Compare orders ids as an index does.
func (id ID) Compare(other ID) int { return bytes.Compare(id[:], other[:]) }

// MarshalText writes the id as hexadecimal digits.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the id from hexadecimal digits.
func (id *ID) UnmarshalText(text []byte) error {
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// Kind is an object's type. The numbers are those of a packfile's entries:
// they are on disk and never change.
type Kind uint8

// The four kinds of object.
const (
	KindCommit Kind = 1
	KindTree   Kind = 2
	KindBlob   Kind = 3
	KindTag    Kind = 4
)

// String returns the kind's name in an object header.
func (k Kind) String() string {
	switch k {
	case KindCommit:
		return "commit"
	case KindTree:
		return "tree"
	case KindBlob:
		return "blob"
	case KindTag:
		return "tag"
	default:
		return "kind" + strconv.Itoa(int(k))
	}
}

// Valid says whether the kind is one of the four.
func (k Kind) Valid() bool { return k >= KindCommit && k <= KindTag }

// ParseKind reads a kind from its name in an object header.
func ParseKind(s string) (Kind, error) {
	for _, k := range []Kind{KindCommit, KindTree, KindBlob, KindTag} {
		if s == k.String() {
			return k, nil
		}
	}
	return 0, fmt.Errorf("parse kind %q: want commit, tree, blob or tag", s)
}

// hashers keeps SHA-1 states: one costs more to allocate than to use on a small value.
var hashers = sync.Pool{New: func() any { return sha1cd.New() }}

// Hash returns the id of an object. It detects SHA-1 collision attacks: a
// content made to collide gets an id that differs from the one it aims at.
func Hash(k Kind, content []byte) ID {
	h, ok := hashers.Get().(hash.Hash)
	if !ok {
		h = sha1cd.New()
	}
	h.Reset()
	var head [32]byte
	h.Write(AppendHeader(head[:0], k, int64(len(content))))
	h.Write(content)
	var id ID
	h.Sum(id[:0])
	hashers.Put(h)
	return id
}

// HashOwn is Hash for what this process composes of names and ids, such as a
// tree: nobody can choose its bytes freely enough for an attack, so that the
// search for one, which takes as long as the hash, is saved.
func HashOwn(k Kind, content []byte) ID {
	h := sha1.New() //nolint:gosec // it is Git's
	var head [32]byte
	h.Write(AppendHeader(head[:0], k, int64(len(content))))
	h.Write(content)
	var id ID
	h.Sum(id[:0])
	return id
}

// AppendHeader appends an object's header, "<kind> <size>\0", to dst.
func AppendHeader(dst []byte, k Kind, size int64) []byte {
	dst = append(dst, k.String()...)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, size, 10)
	return append(dst, 0)
}
