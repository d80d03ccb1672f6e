// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package snapshot reads and writes the files that etcd keeps its keys in: bbolt
// databases, as `etcdctl snapshot save` brings them. They are the way from etcd
// to gitcd and back. It also computes etcd's hashes.
//
//	changes, by revision ─► Write ─► bbolt file ─► Stream ─► etcdctl, etcdutl, etcd
//	etcd's snapshot      ─► Open  ─► changes, leases, alarms, who had users and roles
//	changes, by revision ─► HashKV ─► CRC-32C
//
// A file has these buckets:
//
//	key              revision (8 bytes, '_', 8 bytes: which of its changes; 't' behind a deletion) ─► mvccpb.KeyValue
//	meta             consistent_index, term, confState, storageVersion, scheduledCompactRev, finishedCompactRev
//	lease            id ─► leasepb.Lease
//	alarm            etcdserverpb.AlarmMember ─► nothing
//	auth, authUsers, authRoles: who may do what; read to be told of, since gitcd has no users
//	members, cluster what etcd must find of a cluster; a restore replaces it
//
// # Laws
//
//	S1 Same bytes.   Keys and values are byte for byte what etcd would have written for the same changes: hashes are equal.
//	S2 Bounded.      Neither reading nor writing holds more than a batch of values; of a database that is read only a few MiB stay mapped in memory.
//	S3 Whole or not. What is read is checked first: the sum at its end, if there is one, and the database's own structure.
package snapshot
