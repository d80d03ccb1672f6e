// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// writes are the keys that a list of ops puts, and the spans that it deletes.
type writes struct {
	puts    map[string]struct{}
	deletes []deletion
}

type deletion struct{ start, end string }

func (d deletion) contains(key string) bool {
	switch d.end {
	case "":
		return key == d.start
	case "\x00":
		return key >= d.start
	default:
		return key >= d.start && key < d.end
	}
}

func (w *writes) deletesKey(key string) bool {
	for _, d := range w.deletes {
		if d.contains(key) {
			return true
		}
	}
	return false
}

// checkOverlaps refuses a transaction that could put a key twice, or put and
// delete it. The two ways of one transaction may write the same, since only one is gone.
func checkOverlaps(r *pb.TxnRequest) error {
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		if len(ops) == 1 && ops[0].GetRequestTxn() == nil {
			continue // as kube-apiserver's are
		}
		if _, err := writesOf(ops); err != nil {
			return err
		}
	}
	return nil
}

func writesOf(ops []*pb.RequestOp) (*writes, error) {
	w := &writes{puts: map[string]struct{}{}}
	for _, op := range ops {
		if d := op.GetRequestDeleteRange(); d != nil {
			w.deletes = append(w.deletes, deletion{start: string(d.Key), end: string(d.RangeEnd)})
		}
	}
	for _, op := range ops {
		if t := op.GetRequestTxn(); t != nil {
			if err := w.join(t); err != nil {
				return nil, err
			}
		}
	}
	for _, op := range ops {
		if p := op.GetRequestPut(); p != nil {
			if err := w.put(string(p.Key), nil); err != nil {
				return nil, err
			}
		}
	}
	return w, nil
}

// join adds what an inner transaction may write.
func (w *writes) join(t *pb.TxnRequest) error {
	then, err := writesOf(t.Success)
	if err != nil {
		return err
	}
	otherwise, err := writesOf(t.Failure)
	if err != nil {
		return err
	}
	for key := range then.puts {
		if err := w.put(key, nil); err != nil {
			return err
		}
	}
	for key := range otherwise.puts {
		if err := w.put(key, then.puts); err != nil {
			return err
		}
	}
	w.deletes = append(append(w.deletes, then.deletes...), otherwise.deletes...)
	return nil
}

// put adds a key, which may be there already only if it is among those of the other way.
func (w *writes) put(key string, otherWay map[string]struct{}) error {
	if _, twice := w.puts[key]; twice {
		if _, fine := otherWay[key]; !fine {
			return rpctypes.ErrGRPCDuplicateKey
		}
	}
	if w.deletesKey(key) {
		return rpctypes.ErrGRPCDuplicateKey
	}
	w.puts[key] = struct{}{}
	return nil
}
