// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// TestAlarms raises an alarm, meets it, and ends it as etcdctl does.
func TestAlarms(t *testing.T) {
	a := newAPI(t)
	ctx := t.Context()
	a.put(t, "a", "1")
	if err := a.store.SetAlarm(ctx, mvcc.AlarmNoSpace, true); err != nil {
		t.Fatal(err)
	}
	_, put := a.Put(ctx, "a", "2")
	_, txn := a.Txn(ctx).Then(clientv3.OpGet("a")).Else(clientv3.OpPut("a", "2")).Commit()
	_, grant := a.Grant(ctx, 10)
	for what, err := range map[string]error{"put": put, "txn": txn, "grant": grant} {
		same(t, what, err, rpctypes.ErrNoSpace)
	}
	if _, err := a.Delete(ctx, "a"); err != nil {
		t.Errorf("delete: %v", err)
	}
	st, err := a.Status(ctx, a.Endpoints()[0])
	if err != nil || len(st.Errors) != 1 || !strings.Contains(st.Errors[0], "NOSPACE") {
		t.Errorf("status %+v, %v", st, err)
	}
	list, err := a.AlarmList(ctx)
	if err != nil || len(list.Alarms) != 1 || list.Alarms[0].MemberID != st.Header.MemberId {
		t.Errorf("alarms %+v, %v", list, err)
	}
	ended, err := a.AlarmDisarm(ctx, &clientv3.AlarmMember{})
	if err != nil || len(ended.Alarms) != 1 {
		t.Errorf("disarm: %+v, %v", ended, err)
	}
	if list, err := a.AlarmList(ctx); err != nil || len(list.Alarms) != 0 {
		t.Errorf("alarms %+v, %v", list, err)
	}
	a.put(t, "a", "2")

	m := pb.NewMaintenanceClient(a.conn)
	raised, err := m.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, Alarm: pb.AlarmType_CORRUPT})
	if err != nil || len(raised.Alarms) != 1 {
		t.Fatalf("%+v, %v", raised, err)
	}
	_, put = a.Put(ctx, "a", "3")
	_, del := a.Delete(ctx, "a")
	_, compact := a.Compact(ctx, 2)
	for what, err := range map[string]error{"put": put, "delete": del, "compact": compact} {
		same(t, what, err, rpctypes.ErrCorrupt)
	}
	if r, err := a.Get(ctx, "a"); err != nil || string(r.Kvs[0].Value) != "2" {
		t.Errorf("get %+v, %v", r, err)
	}
}

// TestUpkeep asks for what a single member has no need of.
func TestUpkeep(t *testing.T) {
	a := newAPI(t)
	ctx := t.Context()
	if _, err := a.Defragment(ctx, a.Endpoints()[0]); err != nil {
		t.Errorf("defragment: %v", err)
	}
	_, err := a.MoveLeader(ctx, 1)
	same(t, "move the leader to nobody", err, rpctypes.ErrBadLeaderTransferee)
	st, err := a.Status(ctx, a.Endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.MoveLeader(ctx, st.Header.MemberId); err != nil {
		t.Errorf("move the leader to where it is: %v", err)
	}
	_, err = a.Downgrade(ctx, clientv3.DowngradeValidate, "x")
	same(t, "downgrade to nonsense", err, rpctypes.ErrWrongDowngradeVersionFormat)
	_, err = a.Downgrade(ctx, clientv3.DowngradeValidate, "3.2.0")
	same(t, "downgrade too far", err, rpctypes.ErrInvalidDowngradeTargetVersion)
	if r, err := a.Downgrade(ctx, clientv3.DowngradeValidate, "3.6.0"); err != nil || r.Version != "3.7" {
		t.Errorf("downgrade by one: %+v, %v", r, err)
	}
}
