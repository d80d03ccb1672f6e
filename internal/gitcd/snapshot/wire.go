// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Change is one change of one key, as etcd keeps it. All but Revision, Sub and Key is zero if it is a deletion.
type Change struct {
	// Revision is the transaction's, and Sub which of its changes this is.
	Revision, Sub int64
	Deleted       bool

	Key, Value             []byte
	Create, Version, Lease int64

	// Summed says that there is no Value, but its CRC-32C and its length: enough to be hashed.
	Summed bool
	Sum    uint32
	Size   int64
}

// Lease is a lease, as etcd keeps it. Remaining is 0 if all of the TTL is left.
type Lease struct{ ID, TTL, Remaining int64 }

// Alarm is an alarm of a member: etcd's number of it.
type Alarm struct {
	Member uint64
	Kind   int32
}

// ErrMalformed says that a snapshot is not one, or is damaged.
var ErrMalformed = errors.New("not a sound snapshot of etcd")

const (
	revisionSize  = 17
	tombstoneSize = 18
)

// appendRevision adds the key of a change in the bucket key.
func appendRevision(b []byte, revision, sub int64, deleted bool) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(revision)) //nolint:gosec // revisions are positive
	b = append(b, '_')
	b = binary.BigEndian.AppendUint64(b, uint64(sub)) //nolint:gosec // and so is this
	if deleted {
		b = append(b, 't')
	}
	return b
}

func parseRevision(b []byte) (revision, sub int64, deleted bool, err error) {
	if len(b) != revisionSize && (len(b) != tombstoneSize || b[revisionSize] != 't') || b[8] != '_' {
		return 0, 0, false, fmt.Errorf("read revision %q: %w", b, ErrMalformed)
	}
	revision, sub = int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[9:])) //nolint:gosec // checked below
	if revision < 0 || sub < 0 {
		return 0, 0, false, fmt.Errorf("read revision %q: %w", b, ErrMalformed)
	}
	return revision, sub, len(b) == tombstoneSize, nil
}

// The fields of mvccpb.KeyValue.
const (
	kvKey     = 1
	kvCreate  = 2
	kvMod     = 3
	kvVersion = 4
	kvValue   = 5
	kvLease   = 6
)

// appendKeyValue adds a change as an mvccpb.KeyValue.
func appendKeyValue(b []byte, c *Change) []byte {
	b = appendBefore(b, c)
	if c.Deleted {
		return b
	}
	b = appendBytes(b, kvValue, c.Value)
	return appendInt(b, kvLease, c.Lease)
}

// appendBefore adds what comes before the value.
func appendBefore(b []byte, c *Change) []byte {
	b = appendBytes(b, kvKey, c.Key)
	if c.Deleted {
		return b
	}
	b = appendInt(b, kvCreate, c.Create)
	b = appendInt(b, kvMod, c.Revision)
	return appendInt(b, kvVersion, c.Version)
}

func parseKeyValue(b []byte, c *Change) error {
	return fields(b, func(n protowire.Number, number uint64, data []byte) {
		switch n {
		case kvKey:
			c.Key = data
		case kvCreate:
			c.Create = int64(number) //nolint:gosec // protobuf's way with signs
		case kvVersion:
			c.Version = int64(number) //nolint:gosec // protobuf's way with signs
		case kvValue:
			c.Value = data
		case kvLease:
			c.Lease = int64(number) //nolint:gosec // protobuf's way with signs
		default:
		}
	})
}

func appendLease(b []byte, l Lease) []byte {
	b = appendInt(b, 1, l.ID)
	b = appendInt(b, 2, l.TTL)
	return appendInt(b, 3, l.Remaining)
}

func parseLease(b []byte) (l Lease, err error) {
	err = fields(b, func(n protowire.Number, number uint64, _ []byte) {
		switch n {
		case 1:
			l.ID = int64(number) //nolint:gosec // protobuf's way with signs
		case 2:
			l.TTL = int64(number) //nolint:gosec // protobuf's way with signs
		case 3:
			l.Remaining = int64(number) //nolint:gosec // protobuf's way with signs
		default:
		}
	})
	return l, err
}

func appendAlarm(b []byte, a Alarm) []byte {
	b = appendInt(b, 1, int64(a.Member)) //nolint:gosec // protobuf's way with signs
	return appendInt(b, 2, int64(a.Kind))
}

func parseAlarm(b []byte) (a Alarm, err error) {
	err = fields(b, func(n protowire.Number, number uint64, _ []byte) {
		switch n {
		case 1:
			a.Member = number
		case 2:
			a.Kind = int32(number) //nolint:gosec // protobuf's way with enumerations
		default:
		}
	})
	return a, err
}

// appendInt adds a number, unless it is zero.
func appendInt(b []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(n)) //nolint:gosec // protobuf's way with signs
}

// appendBytes adds bytes, unless there are none.
func appendBytes(b []byte, field protowire.Number, data []byte) []byte {
	if len(data) == 0 {
		return b
	}
	b = protowire.AppendTag(b, field, protowire.BytesType)
	return protowire.AppendBytes(b, data)
}

// fields yields the numbers and bytes of a message, and skips all else.
func fields(b []byte, yield func(n protowire.Number, number uint64, data []byte)) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return fmt.Errorf("read message: %w: %w", ErrMalformed, protowire.ParseError(size))
		}
		b = b[size:]
		var number uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			number, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			data, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, kind, b)
		}
		if size < 0 {
			return fmt.Errorf("read message: %w: %w", ErrMalformed, protowire.ParseError(size))
		}
		yield(n, number, data)
		b = b[size:]
	}
	return nil
}
