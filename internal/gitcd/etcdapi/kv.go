// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// kvServer is etcd's KV service. Its verbs are in range.go, put.go, delete.go, txn.go and compact.go.
type kvServer struct {
	pb.UnsafeKVServer
	*Server
}

// keyValue translates a key's state.
func keyValue(kv *mvcc.KeyValue) *mvccpb.KeyValue {
	if kv == nil {
		return nil
	}
	out := new(mvccpb.KeyValue)
	fill(out, kv)
	return out
}

func fill(out *mvccpb.KeyValue, kv *mvcc.KeyValue) {
	out.Key = []byte(kv.Key)
	out.Value = kv.Value
	out.CreateRevision = kv.CreateRevision
	out.ModRevision = kv.ModRevision
	out.Version = kv.Version
	out.Lease = int64(kv.Lease)
}

// keyValues translates many at once, in one piece of memory.
func keyValues(kvs []mvcc.KeyValue) []*mvccpb.KeyValue {
	if len(kvs) == 0 {
		return nil
	}
	slab := make([]mvccpb.KeyValue, len(kvs))
	out := make([]*mvccpb.KeyValue, len(kvs))
	for i := range kvs {
		fill(&slab[i], &kvs[i])
		out[i] = &slab[i]
	}
	return out
}
