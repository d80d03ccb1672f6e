// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"fmt"
	"slices"

	"go.etcd.io/etcd/tests/v3/robustness/model"
)

// requests tells what etcd's model makes of an op log, and which keys with which
// values there are at its end. A put or delete that changed something is kept
// without its conditions: they held.
func requests(l *opLog) ([]model.EtcdRequest, map[string]string, error) {
	var out []model.EtcdRequest
	keys := map[string]string{}
	revision := int64(1)
	for _, record := range l.records {
		txns, err := transactions(record)
		if err != nil {
			return nil, nil, err
		}
		for _, ops := range txns {
			reqs, changed, err := l.request(ops, revision+1, keys)
			if err != nil {
				return nil, nil, err
			}
			if changed {
				revision++
			}
			out = append(out, reqs...)
		}
	}
	return out, keys, nil
}

// request turns a transaction into requests of the model. Its changes must have the revision that is next.
func (l *opLog) request(ops []op, next int64, keys map[string]string) (out []model.EtcdRequest, changed bool, err error) {
	var changes []model.EtcdOperation
	for _, o := range ops {
		switch o.kind {
		case opPut, opDelete:
			changed = true
			if o.mod != next {
				return nil, false, fmt.Errorf("%q changes at revision %d, and %d is next", o.key, o.mod, next)
			}
			if o.kind == opDelete {
				delete(keys, o.key)
				changes = append(changes, model.EtcdOperation{Type: model.DeleteOperation, Delete: model.DeleteOptions{Key: o.key}})
				continue
			}
			value, ok := l.blobs[o.blob]
			if !ok {
				return nil, false, fmt.Errorf("blob %x of %q is not in the journal", o.blob, o.key)
			}
			keys[o.key] = string(value)
			changes = append(changes, model.EtcdOperation{Type: model.PutOperation, Put: model.PutOptions{
				Key: o.key, Value: model.ToValueOrHash(string(value)), LeaseID: o.lease,
			}})
		case opGrant:
			out = append(out, model.EtcdRequest{Type: model.LeaseGrant, LeaseGrant: &model.LeaseGrantRequest{LeaseID: o.lease}})
		case opRevoke:
			out = append(out, model.EtcdRequest{Type: model.LeaseRevoke, LeaseRevoke: &model.LeaseRevokeRequest{LeaseID: o.lease}})
		case opCompact:
			out = append(out, model.EtcdRequest{Type: model.Compact, Compact: &model.CompactRequest{Revision: o.mod}})
		}
	}
	revokes := slices.ContainsFunc(ops, func(o op) bool { return o.kind == opRevoke })
	if len(changes) > 0 && !revokes { // what a revoked lease takes with it follows from the lease
		out = append(out, model.EtcdRequest{Type: model.Txn, Txn: &model.TxnRequest{OperationsOnSuccess: changes}})
	}
	return out, changed, nil
}
