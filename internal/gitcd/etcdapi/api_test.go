// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// api is a new store behind the API, with etcd's own client and the bare services.
type api struct {
	*clientv3.Client
	store *mvcc.Store
	kv    pb.KVClient
	watch pb.WatchClient
	lease pb.LeaseClient
	conn  *grpc.ClientConn
}

func newAPI(t *testing.T) *api {
	t.Helper()
	store, err := mvcc.Open(t.Context(), &mvcc.MemLog{}, mvcc.Options{Epoch: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close(context.Background()) })
	endpoint := serve(t, store)
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &api{
		Client: c, store: store, conn: conn,
		kv: pb.NewKVClient(conn), watch: pb.NewWatchClient(conn), lease: pb.NewLeaseClient(conn),
	}
}

func (a *api) put(t *testing.T, key, value string, o ...clientv3.OpOption) int64 {
	t.Helper()
	r, err := a.Put(t.Context(), key, value, o...)
	if err != nil {
		t.Fatal(err)
	}
	return r.Header.Revision
}

// same compares a client's error with the one that etcd's client would return.
func same(t *testing.T, what string, have, want error) {
	t.Helper()
	if !errors.Is(have, want) && (have == nil || want == nil || have.Error() != want.Error()) {
		t.Errorf("%s: %v, want %v", what, have, want)
	}
}

// TestE1SameWords makes every error that a client can tell apart.
func TestE1SameWords(t *testing.T) {
	a := newAPI(t)
	ctx := t.Context()
	a.put(t, "a", "1")
	a.put(t, "a", "2")
	if _, err := a.Compact(ctx, 3); err != nil {
		t.Fatal(err)
	}
	get := func(key string, o ...clientv3.OpOption) error {
		_, err := a.Get(ctx, key, o...)
		return err
	}
	puts := func(key, value string, o ...clientv3.OpOption) error {
		_, err := a.Put(ctx, key, value, o...)
		return err
	}
	txn := func(ops ...clientv3.Op) error {
		_, err := a.Txn(ctx).Then(ops...).Commit()
		return err
	}
	many := make([]clientv3.Op, 129)
	for i := range many {
		many[i] = clientv3.OpGet("a")
	}
	_, compactOld := a.Compact(ctx, 3)
	_, compactNew := a.Compact(ctx, 99)
	_, revoke := a.Revoke(ctx, 99)
	_, grantHuge := a.Grant(ctx, mvcc.MaxLeaseTTL+1)
	_, grantOnce := a.lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 7, TTL: 10})
	_, grantTwice := a.lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: 7, TTL: 10})
	_, badSort := a.kv.Range(ctx, &pb.RangeRequest{Key: []byte("a"), SortOrder: 9})
	_, noAuth := a.Authenticate(ctx, "root", "x")
	for _, c := range []struct {
		what       string
		have, want error
	}{
		{"get without a key", get(""), rpctypes.ErrEmptyKey},
		{"get what is compacted", get("a", clientv3.WithRev(2)), rpctypes.ErrCompacted},
		{"get at the compacted revision", get("a", clientv3.WithRev(3)), nil},
		{"get the future", get("a", clientv3.WithRev(4)), rpctypes.ErrFutureRev},
		{"put without a key", puts("", "x"), rpctypes.ErrEmptyKey},
		{"put that keeps a value, with one", puts("a", "x", clientv3.WithIgnoreValue()), rpctypes.ErrValueProvided},
		{"put that keeps the value of nothing", puts("none", "", clientv3.WithIgnoreValue()), rpctypes.ErrKeyNotFound},
		{"put that keeps the lease of nothing", puts("none", "", clientv3.WithIgnoreLease()), rpctypes.ErrKeyNotFound},
		{"put with an unknown lease", puts("a", "x", clientv3.WithLease(99)), rpctypes.ErrLeaseNotFound},
		{"put of 2 MB", puts("a", strings.Repeat("x", 1600<<10)), rpctypes.ErrRequestTooLarge},
		{"txn of too many", txn(many...), rpctypes.ErrTooManyOps},
		{"txn with a key twice", txn(clientv3.OpPut("a", "1"), clientv3.OpPut("a", "2")), rpctypes.ErrDuplicateKey},
		{"txn that puts and deletes", txn(clientv3.OpPut("a", "1"), clientv3.OpDelete("", clientv3.WithFromKey())), rpctypes.ErrDuplicateKey},
		{"txn with one of two bad ranges", txn(clientv3.OpPut("a", "1"), clientv3.OpGet("a", clientv3.WithRev(2))), rpctypes.ErrCompacted},
		{"compact again", compactOld, rpctypes.ErrCompacted},
		{"compact the future", compactNew, rpctypes.ErrFutureRev},
		{"revoke nothing", revoke, rpctypes.ErrLeaseNotFound},
		{"grant for ever", grantHuge, rpctypes.ErrLeaseTTLTooLarge},
		{"grant by id", grantOnce, nil},
		{"grant again", grantTwice, rpctypes.ErrGRPCLeaseExist},
		{"sort by nonsense", badSort, rpctypes.ErrGRPCInvalidSortOption},
		{"authenticate", noAuth, rpctypes.ErrAuthNotEnabled},
	} {
		same(t, c.what, c.have, c.want)
	}
	if r, err := a.Get(ctx, "a"); err != nil || string(r.Kvs[0].Value) != "2" || r.Header.Revision != 3 {
		t.Errorf("a refusal changed something: %+v, %v", r, err)
	}
}

// TestE2Overlaps nests transactions: the two ways of one may write the same key, nothing else may.
func TestE2Overlaps(t *testing.T) {
	a := newAPI(t)
	put, del := clientv3.OpPut("a", "1"), clientv3.OpDelete("a")
	inner := func(then, otherwise []clientv3.Op) clientv3.Op { return clientv3.OpTxn(nil, then, otherwise) }
	one := []clientv3.Op{put}
	for what, c := range map[string]struct {
		ops  []clientv3.Op
		want error
	}{
		"both ways put":             {[]clientv3.Op{inner(one, one)}, nil},
		"two inner txns put":        {[]clientv3.Op{inner(one, nil), inner(nil, one)}, rpctypes.ErrDuplicateKey},
		"inner and outer put":       {[]clientv3.Op{inner(one, nil), put}, rpctypes.ErrDuplicateKey},
		"outer deletes, inner puts": {[]clientv3.Op{inner(one, nil), del}, rpctypes.ErrDuplicateKey},
		"inner deletes, outer puts": {[]clientv3.Op{inner([]clientv3.Op{del}, nil), put}, rpctypes.ErrDuplicateKey},
		"deletes of the same":       {[]clientv3.Op{del, del}, nil},
	} {
		_, err := a.Txn(t.Context()).Then(c.ops...).Commit()
		same(t, what, err, c.want)
	}
}

// TestTxn has compares of missing keys, reads of the txn's own writes, and what a failed one answers.
func TestTxn(t *testing.T) {
	a := newAPI(t)
	ctx := t.Context()
	missing := map[string]struct {
		cmp  clientv3.Cmp
		want bool
	}{
		"mod = 0":     {clientv3.Compare(clientv3.ModRevision("x"), "=", 0), true},
		"create = 0":  {clientv3.Compare(clientv3.CreateRevision("x"), "=", 0), true},
		"version = 0": {clientv3.Compare(clientv3.Version("x"), "=", 0), true},
		"version > 0": {clientv3.Compare(clientv3.Version("x"), ">", 0), false},
		"version < 1": {clientv3.Compare(clientv3.Version("x"), "<", 1), true},
		"mod != 0":    {clientv3.Compare(clientv3.ModRevision("x"), "!=", 0), false},
		"lease = 0":   {clientv3.Compare(clientv3.LeaseValue("x"), "=", 0), true},
		"value = ''":  {clientv3.Compare(clientv3.Value("x"), "=", ""), false},
		"value != y":  {clientv3.Compare(clientv3.Value("x"), "!=", "y"), false},
		"mod = 5":     {clientv3.Compare(clientv3.ModRevision("x"), "=", 5), false},
	}
	for what, c := range missing {
		r, err := a.Txn(ctx).If(c.cmp).Commit()
		if err != nil || r.Succeeded != c.want {
			t.Errorf("missing key, %s: %v, %v", what, r.Succeeded, err)
		}
	}
	r, err := a.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision("a"), "=", 0)).
		Then(clientv3.OpPut("a", "1"), clientv3.OpGet("a"), clientv3.OpPut("b", "1")).Commit()
	if err != nil || !r.Succeeded || r.Header.Revision != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if kv := r.Responses[1].GetResponseRange().Kvs[0]; kv.ModRevision != 2 || string(kv.Value) != "1" {
		t.Errorf("own write reads as %v", kv)
	}
	r, err = a.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision("a"), "=", 9)).Then(clientv3.OpDelete("a")).Else(clientv3.OpGet("a")).Commit()
	if err != nil || r.Succeeded || r.Header.Revision != 2 {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := r.Responses[0].GetResponseRange(); got.Header.Revision != 2 || len(got.Kvs) != 1 || got.Count != 1 {
		t.Errorf("else reads %v", got)
	}
	r, err = a.Txn(ctx).Then(clientv3.OpDelete("none")).Commit()
	if err != nil || r.Header.Revision != 2 {
		t.Errorf("a txn that changes nothing has revision %d, %v", r.Header.Revision, err)
	}
	r, err = a.Txn(ctx).If(clientv3.Compare(clientv3.Version("a"), "=", 1).WithPrefix()).Then(clientv3.OpDelete("", clientv3.WithFromKey(), clientv3.WithPrevKV())).Commit()
	if err != nil || r.Header.Revision != 3 || r.Responses[0].GetResponseDeleteRange().Deleted != 2 || len(r.Responses[0].GetResponseDeleteRange().PrevKvs) != 2 {
		t.Errorf("delete of all: %+v, %v", r, err)
	}
}

// TestRange looks at counts, limits, order and ends.
func TestRange(t *testing.T) {
	a := newAPI(t)
	ctx := t.Context()
	for i := range 10 {
		a.put(t, fmt.Sprintf("k%d", i), fmt.Sprint(9-i))
	}
	if _, err := a.Delete(ctx, "k3"); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		key         string
		o           []clientv3.OpOption
		count, more string
		keys        string
	}{
		"limit":         {"k", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithLimit(2)}, "9", "true", "k0 k1"},
		"limit = count": {"k", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithLimit(9)}, "9", "false", "k0 k1 k2 k4 k5 k6 k7 k8 k9"},
		"pinned":        {"k", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithLimit(4), clientv3.WithRev(11)}, "10", "true", "k0 k1 k2 k3"},
		"pinned early":  {"k", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(3)}, "2", "false", "k0 k1"},
		"count only":    {"k", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithCountOnly(), clientv3.WithLimit(1)}, "9", "false", ""},
		"from key":      {"k8", []clientv3.OpOption{clientv3.WithFromKey()}, "2", "false", "k8 k9"},
		"continue":      {"k4\x00", []clientv3.OpOption{clientv3.WithRange("l"), clientv3.WithLimit(2)}, "5", "true", "k5 k6"},
		"end before":    {"k5", []clientv3.OpOption{clientv3.WithRange("k1")}, "0", "false", ""},
		"descending":    {"k", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend), clientv3.WithLimit(2)}, "9", "true", "k9 k8"},
		"by value":      {"k", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByValue, clientv3.SortAscend), clientv3.WithLimit(3)}, "9", "true", "k9 k8 k7"},
		"limit first":   {"k", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByValue, clientv3.SortNone), clientv3.WithLimit(1)}, "9", "true", "k1"},
		"newer than":    {"k", []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithMinModRev(10)}, "9", "false", "k8 k9"},
		"absent":        {"none", nil, "0", "false", ""},
	} {
		r, err := a.Get(ctx, c.key, c.o...)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, kv := range r.Kvs {
			keys = append(keys, string(kv.Key))
		}
		if have := strings.Join(keys, " "); have != c.keys || fmt.Sprint(r.Count) != c.count || fmt.Sprint(r.More) != c.more || r.Header.Revision != 12 {
			t.Errorf("%s: %q, count %d, more %v, revision %d; want %q %s %s", what, have, r.Count, r.More, r.Header.Revision, c.keys, c.count, c.more)
		}
	}
	stream, err := a.kv.RangeStream(ctx, &pb.RangeRequest{Key: []byte("k"), RangeEnd: []byte("l"), Limit: 4})
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := stream.Recv()
	if r := chunk.GetRangeResponse(); err != nil || len(r.GetKvs()) != 4 || r.GetCount() != 9 || !r.GetMore() || r.GetHeader().GetRevision() != 12 {
		t.Errorf("stream: %v, %v", chunk, err)
	}
}

// TestLease has keep-alives, times to live and keys.
func TestLease(t *testing.T) {
	a := newAPI(t)
	ctx := t.Context()
	l, err := a.Grant(ctx, 100)
	if err != nil || l.ID <= 0 || l.TTL != 100 {
		t.Fatalf("%+v, %v", l, err)
	}
	a.put(t, "a", "1", clientv3.WithLease(l.ID))
	ttl, err := a.TimeToLive(ctx, l.ID, clientv3.WithAttachedKeys())
	if err != nil || ttl.GrantedTTL != 100 || ttl.TTL < 90 || len(ttl.Keys) != 1 {
		t.Errorf("%+v, %v", ttl, err)
	}
	if once, err := a.KeepAliveOnce(ctx, l.ID); err != nil || once.TTL != 100 {
		t.Errorf("%+v, %v", once, err)
	}
	_, err = a.KeepAliveOnce(ctx, 99)
	same(t, "keep alive of nothing", err, rpctypes.ErrLeaseNotFound)
	if ttl, err = a.TimeToLive(ctx, 99); err != nil || ttl.TTL != -1 {
		t.Errorf("time to live of nothing: %+v, %v", ttl, err)
	}
	if all, err := a.Leases(ctx); err != nil || len(all.Leases) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := a.Revoke(ctx, l.ID); err != nil {
		t.Error(err)
	}
	if r, err := a.Get(ctx, "a"); err != nil || len(r.Kvs) != 0 || r.Header.Revision != 3 {
		t.Errorf("after revocation: %+v, %v", r, err)
	}
}

// TestOther asks what operators ask.
func TestOther(t *testing.T) {
	a := newAPI(t)
	ctx := t.Context()
	status, err := a.Status(ctx, a.Endpoints()[0])
	if err != nil || status.Version == "" || status.Leader != status.Header.MemberId || status.RaftTerm != 2 || status.Header.ClusterId == 0 {
		t.Errorf("%+v, %v", status, err)
	}
	members, err := a.MemberList(ctx)
	if err != nil || len(members.Members) != 1 || members.Members[0].ID != status.Header.MemberId {
		t.Errorf("%+v, %v", members, err)
	}
	if alarms, err := a.AlarmList(ctx); err != nil || len(alarms.Alarms) != 0 {
		t.Errorf("%+v, %v", alarms, err)
	}
	if auth, err := a.AuthStatus(ctx); err != nil || auth.Enabled {
		t.Errorf("%+v, %v", auth, err)
	}
	_, addErr := a.MemberAdd(ctx, []string{"http://x"})
	_, userErr := a.UserAdd(ctx, "x", "y")
	for _, err := range []error{addErr, userErr} {
		if err == nil {
			t.Error("what is not done is not refused")
		}
	}
}
