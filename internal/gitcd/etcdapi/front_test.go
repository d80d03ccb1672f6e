// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// certificate is a server's own, for 127.0.0.1.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// facade is a front on one port, with TLS and without.
type facade struct {
	*etcdapi.Front
	store *mvcc.Store
	log   *mvcc.MemLog
	addr  string
	pool  *x509.CertPool
	stop  context.CancelFunc
	ended chan error
}

func newFacade(t *testing.T, o etcdapi.FrontOptions) *facade {
	t.Helper()
	f := &facade{log: &mvcc.MemLog{}, ended: make(chan error, 1)}
	f.store = openStore(t, f.log)
	var err error
	if f.Front, err = etcdapi.NewFront(etcdapi.NewServer(f.store, etcdapi.Options{}), o); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	cert, pool := certificate(t)
	f.pool = pool
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	endpoints := []etcdapi.Endpoint{{
		Listener: l, Plain: true,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}},
	}}
	go func() { f.ended <- f.Run(ctx, endpoints) }()
	t.Cleanup(func() {
		stop()
		if err := <-f.ended; err != nil {
			t.Error(err)
		}
	})
	return f
}

func (f *facade) dial(t *testing.T, secure bool) *grpc.ClientConn {
	t.Helper()
	creds := insecure.NewCredentials()
	if secure {
		creds = credentials.NewClientTLSFromCert(f.pool, "")
	}
	c, err := grpc.NewClient(f.addr, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// speaker is an HTTP client of one version.
func (f *facade) speaker(t *testing.T, version int, secure bool) *http.Client {
	t.Helper()
	var p http.Protocols
	p.SetHTTP1(version == 1)
	p.SetHTTP2(version == 2 && secure)
	p.SetUnencryptedHTTP2(version == 2 && !secure)
	transport := &http.Transport{Protocols: &p, TLSClientConfig: &tls.Config{RootCAs: f.pool, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func (f *facade) ask(t *testing.T, c *http.Client, secure bool, method, path, body string, header ...string) (int, string) {
	t.Helper()
	scheme := "http"
	if secure {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(t.Context(), method, scheme+"://"+f.addr+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, string(data)
}

// TestOnePort speaks everything that a client may speak on the same port, also over one connection again and again.
func TestOnePort(t *testing.T) {
	f := newFacade(t, etcdapi.FrontOptions{})
	for _, secure := range []bool{false, true} {
		kv := pb.NewKVClient(f.dial(t, secure))
		if _, err := kv.Put(t.Context(), &pb.PutRequest{Key: []byte("a"), Value: []byte("b")}); err != nil {
			t.Fatal(err)
		}
		for _, version := range []int{1, 2} {
			t.Run(fmt.Sprintf("HTTP/%d secure %t", version, secure), func(t *testing.T) {
				for range 20 { // each a new connection, then the same one
					c := f.speaker(t, version, secure)
					for range 2 {
						if code, body := f.ask(t, c, secure, http.MethodGet, "/health", ""); code != http.StatusOK || body != `{"health":"true","reason":""}` {
							t.Fatalf("%d %s", code, body)
						}
					}
					code, body := f.ask(t, c, secure, http.MethodPost, "/v3/kv/range", `{"key":"YQ=="}`)
					if code != http.StatusOK || !strings.Contains(body, `"value":"Yg=="`) {
						t.Fatalf("%d %s", code, body)
					}
				}
			})
		}
	}
}

// TestIdleClient connects and says nothing: it must be told at once that it is served, and be served when it asks.
func TestIdleClient(t *testing.T) {
	f := newFacade(t, etcdapi.FrontOptions{})
	for _, secure := range []bool{false, true} {
		c := f.dial(t, secure)
		c.Connect()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		for s := c.GetState(); s != connectivity.Ready; s = c.GetState() {
			if !c.WaitForStateChange(ctx, s) {
				t.Fatalf("the connection is %s", s)
			}
		}
		cancel()
		if _, err := pb.NewKVClient(c).Range(t.Context(), &pb.RangeRequest{Key: []byte("a")}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStopEndsStreams stops with a watch and a keep-alive open: that takes no grace, and a client is told to come back.
func TestStopEndsStreams(t *testing.T) {
	f := newFacade(t, etcdapi.FrontOptions{})
	c := f.dial(t, false)
	watch, err := pb.NewWatchClient(c).Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("a")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	alive, err := pb.NewLeaseClient(c).LeaseKeepAlive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := alive.Send(&pb.LeaseKeepAliveRequest{ID: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := alive.Recv(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	f.stop()
	for what, recv := range map[string]func() error{
		"watch":      func() error { _, err := watch.Recv(); return err },
		"keep-alive": func() error { _, err := alive.Recv(); return err },
	} {
		if err := recv(); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := <-f.ended; err != nil {
		t.Error(err)
	}
	f.ended <- nil
	if took := time.Since(began); took > time.Second {
		t.Errorf("the stop took %s", took)
	}
}

// TestStopNow answers nothing after a branch was lost.
func TestStopNow(t *testing.T) {
	f := newFacade(t, etcdapi.FrontOptions{})
	kv := pb.NewKVClient(f.dial(t, false))
	if _, err := kv.Put(t.Context(), &pb.PutRequest{Key: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	f.StopNow()
	if _, err := kv.Put(t.Context(), &pb.PutRequest{Key: []byte("a")}); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
}

// TestWebPages lets no page of another origin in, nor one that has a name for us.
func TestWebPages(t *testing.T) {
	f := newFacade(t, etcdapi.FrontOptions{Hosts: []string{"localhost", "gitcd.example"}})
	c := f.speaker(t, 1, false)
	for _, w := range []struct {
		header []string
		code   int
	}{
		{nil, http.StatusOK},
		{[]string{"Host", "gitcd.example:1"}, http.StatusOK},
		{[]string{"Host", "evil.example"}, http.StatusMisdirectedRequest},
		{[]string{"Origin", "http://evil.example"}, http.StatusForbidden},
		{[]string{"Origin", "http://" + f.addr}, http.StatusOK},
	} {
		if code, body := f.ask(t, c, false, http.MethodGet, "/version", "", w.header...); code != w.code {
			t.Errorf("%v: %d %s", w.header, code, body)
		}
	}
	if code, _ := f.ask(t, f.speaker(t, 2, true), true, http.MethodGet, "/version", "", "Host", "any.example"); code != http.StatusOK {
		t.Errorf("with TLS: %d", code)
	}
}

// TestTruth has the health service and /readyz say when no write is taken.
func TestTruth(t *testing.T) {
	refuse := false
	f := newFacade(t, etcdapi.FrontOptions{Refuse: func() bool { return refuse }})
	conn := f.dial(t, false)
	c := f.speaker(t, 1, false)
	want := func(s healthpb.HealthCheckResponse_ServingStatus, code int) {
		t.Helper()
		// The health service itself is refused while nothing may be answered, which no prober takes for health.
		r, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: "etcdserverpb.KV"})
		if r.GetStatus() != s {
			t.Errorf("%v %v, want %s", r, err, s)
		}
		if have, body := f.ask(t, c, false, http.MethodGet, "/readyz", ""); have != code {
			t.Errorf("/readyz: %d %s, want %d", have, body, code)
		}
		if have, body := f.ask(t, c, false, http.MethodGet, "/livez", ""); have != http.StatusOK {
			t.Errorf("/livez: %d %s", have, body)
		}
	}
	want(healthpb.HealthCheckResponse_SERVING, http.StatusOK)
	refuse = true
	want(healthpb.HealthCheckResponse_UNKNOWN, http.StatusServiceUnavailable)
	refuse = false
	f.log.Fail(errors.New("input/output error"))
	if _, err := f.store.Txn(t.Context(), mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: "a"}}}}); err == nil {
		t.Fatal("a broken disk took a put")
	}
	want(healthpb.HealthCheckResponse_NOT_SERVING, http.StatusServiceUnavailable)
}

// TestRecipes takes a lock and wins an election through etcd's services.
func TestRecipes(t *testing.T) {
	f := newFacade(t, etcdapi.FrontOptions{})
	conn := f.dial(t, false)
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{f.addr}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	lease, err := c.Grant(t.Context(), 60)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := v3lockpb.NewLockClient(conn).Lock(t.Context(), &v3lockpb.LockRequest{Name: []byte("l"), Lease: int64(lease.ID)})
	if err != nil || !strings.HasPrefix(string(lock.Key), "l/") {
		t.Fatal(lock, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	other, err := c.Grant(t.Context(), 60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v3lockpb.NewLockClient(conn).Lock(ctx, &v3lockpb.LockRequest{Name: []byte("l"), Lease: int64(other.ID)}); err == nil {
		t.Fatal("a lock was taken twice")
	}
	won, err := v3electionpb.NewElectionClient(conn).Campaign(t.Context(), &v3electionpb.CampaignRequest{Name: []byte("e"), Lease: int64(lease.ID), Value: []byte("me")})
	if err != nil {
		t.Fatal(err)
	}
	leader, err := v3electionpb.NewElectionClient(conn).Leader(t.Context(), &v3electionpb.LeaderRequest{Name: []byte("e")})
	if err != nil || string(leader.Kv.Value) != "me" || string(leader.Kv.Key) != string(won.Leader.Key) {
		t.Fatal(leader, err)
	}
}

// TestNumbers compares what dashboards show with what was done.
func TestNumbers(t *testing.T) {
	f := newFacade(t, etcdapi.FrontOptions{Extensive: true})
	kv := pb.NewKVClient(f.dial(t, false))
	for i := range 3 {
		if _, err := kv.Put(t.Context(), &pb.PutRequest{Key: fmt.Append(nil, i), Value: []byte("12345")}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kv.DeleteRange(t.Context(), &pb.DeleteRangeRequest{Key: []byte("0"), RangeEnd: []byte("2")}); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Range(t.Context(), &pb.RangeRequest{}); err == nil {
		t.Fatal("a read of nothing was answered")
	}
	_, body := f.ask(t, f.speaker(t, 1, false), false, http.MethodGet, "/metrics", "")
	for _, line := range []string{
		"etcd_mvcc_put_total 3", "etcd_mvcc_delete_total 2", "etcd_mvcc_txn_total 1", "etcd_debugging_mvcc_keys_total 1",
		"etcd_debugging_mvcc_total_put_size_in_bytes 18", "etcd_server_has_leader 1", "etcd_server_proposals_committed_total 5",
		`grpc_server_handled_total{grpc_code="OK",grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 3`,
		`grpc_server_handled_total{grpc_code="InvalidArgument",grpc_method="Range",grpc_service="etcdserverpb.KV",grpc_type="unary"} 1`,
		`grpc_server_handling_seconds_count{grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"} 3`,
		`etcd_server_version{server_version="` + etcdapi.Version + `"} 1`, "etcd_disk_wal_fsync_duration_seconds_count 4",
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
}
