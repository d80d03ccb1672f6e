// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// healthInterval is how often those who watch the health are looked after.
const healthInterval = time.Second

// healthCounts are how often /health was asked for, and what it said.
type healthCounts struct{ good, bad atomic.Int64 }

// check is one thing that /livez or /readyz looks at.
type check struct {
	name string
	run  func(context.Context) error
}

// registerHealth adds /health, /livez and /readyz with etcd's answers.
func (f *Front) registerHealth(mux *http.ServeMux) {
	read := check{"serializable_read", f.readable}
	mux.HandleFunc("/health", f.serveHealth)
	f.registerChecks(mux, "/livez", []check{read})
	f.registerChecks(mux, "/readyz", []check{
		{"data_corruption", func(ctx context.Context) error { return f.alarmed(ctx, pb.AlarmType_CORRUPT) }},
		{"linearizable_read", func(ctx context.Context) error {
			if err := f.writable(); err != nil {
				return err
			}
			return f.readable(ctx)
		}},
		{"non_learner", func(context.Context) error { return nil }},
		read,
	})
}

// readable says whether keys can be read.
func (f *Front) readable(ctx context.Context) error {
	_, err := f.store.Range(ctx, mvcc.RangeRequest{Key: "\x00", Limit: 1, KeysOnly: true})
	return err
}

// writable says whether writes are taken.
func (f *Front) writable() error {
	if err := f.store.Healthy(); err != nil {
		return err
	}
	return f.refuses()
}

func (f *Front) alarms(ctx context.Context) []*pb.AlarmMember {
	r, err := (&maintenanceServer{Server: f.Server}).Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_GET})
	if err != nil {
		return nil
	}
	return r.Alarms
}

func (f *Front) alarmed(ctx context.Context, kind pb.AlarmType) error {
	for _, a := range f.alarms(ctx) {
		if a.Alarm == kind {
			return fmt.Errorf("alarm activated: %s", kind)
		}
	}
	return nil
}

// unhealthy says in etcd's words what is wrong, nothing if all is well.
func (f *Front) unhealthy(r *http.Request) string {
	excluded := map[string]bool{}
	for _, name := range r.URL.Query()["exclude"] {
		excluded[name] = true
	}
	for _, a := range f.alarms(r.Context()) {
		if !excluded[a.Alarm.String()] {
			return "ALARM " + a.Alarm.String()
		}
	}
	if r.URL.Query().Get("serializable") != "true" {
		if err := f.writable(); err != nil {
			return "RAFT NO LEADER: " + err.Error()
		}
	}
	if err := f.readable(r.Context()); err != nil {
		return "RANGE ERROR:" + err.Error()
	}
	return ""
}

func (f *Front) serveHealth(w http.ResponseWriter, r *http.Request) {
	if !asked(w, r) {
		return
	}
	body := struct {
		Health string `json:"health"`
		Reason string `json:"reason"`
	}{"true", f.unhealthy(r)}
	if body.Reason == "" {
		f.health.good.Add(1)
		reply(w, body)
		return
	}
	f.health.bad.Add(1)
	body.Health = "false"
	text, err := json.Marshal(body)
	if err != nil {
		text = []byte(err.Error())
	}
	http.Error(w, string(text), http.StatusServiceUnavailable)
}

// asked refuses what is not GET.
func asked(w http.ResponseWriter, r *http.Request) bool {
	if r.Method == http.MethodGet {
		return true
	}
	w.Header().Set("Allow", http.MethodGet)
	http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	return false
}

func (f *Front) registerChecks(mux *http.ServeMux, path string, checks []check) {
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		var run []check
		excluded := r.URL.Query()["exclude"]
		for _, c := range checks {
			if !slices.Contains(excluded, c.name) {
				run = append(run, c)
			}
		}
		serveChecks(w, r, run)
	})
	for _, c := range checks {
		mux.HandleFunc(path+"/"+c.name, func(w http.ResponseWriter, r *http.Request) { serveChecks(w, r, []check{c}) })
	}
}

func serveChecks(w http.ResponseWriter, r *http.Request, checks []check) {
	if !asked(w, r) {
		return
	}
	var report strings.Builder
	bad := false
	for _, c := range checks {
		if err := c.run(r.Context()); err != nil {
			bad = true
			fmt.Fprintf(&report, "[-]%s failed: %v\n", c.name, err)
			continue
		}
		fmt.Fprintf(&report, "[+]%s ok\n", c.name)
	}
	if bad {
		http.Error(w, report.String(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	out := "ok\n"
	if r.URL.Query().Has("verbose") {
		out = report.String() + out
	}
	if _, err := w.Write([]byte(out)); err != nil {
		return // the client has gone: nobody to tell
	}
}

// healthServer is gRPC's health service. It tells the truth: not serving when no write would be taken.
type healthServer struct {
	healthpb.UnimplementedHealthServer
	*Front
}

func (s *healthServer) now(service string) healthpb.HealthCheckResponse_ServingStatus {
	if _, known := s.grpc.GetServiceInfo()[service]; service != "" && !known {
		return healthpb.HealthCheckResponse_SERVICE_UNKNOWN
	}
	if s.writable() != nil {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}

// Check says how it is now.
func (s *healthServer) Check(_ context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	now := s.now(r.Service)
	if now == healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
		return nil, status.Error(codes.NotFound, "unknown service")
	}
	return &healthpb.HealthCheckResponse{Status: now}, nil
}

// Watch says how it is, and again when it changes.
func (s *healthServer) Watch(r *healthpb.HealthCheckRequest, stream healthpb.Health_WatchServer) error {
	ticker := s.Server.o.Clock.NewTicker(healthInterval)
	defer ticker.Stop()
	said := healthpb.HealthCheckResponse_UNKNOWN
	for {
		if now := s.now(r.Service); now != said {
			if err := stream.Send(&healthpb.HealthCheckResponse{Status: now}); err != nil {
				return err
			}
			said = now
		}
		select {
		case <-ticker.C():
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}
