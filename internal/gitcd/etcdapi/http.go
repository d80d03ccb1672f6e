// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package etcdapi

import (
	"context"
	"encoding/json"
	"expvar"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
)

// handler serves what etcd serves over HTTP on the clients' port.
func (f *Front) handler() (http.Handler, error) {
	mux := f.probeMux()
	mux.HandleFunc("GET /version", f.serveVersion)
	mux.Handle("GET /debug/vars", expvar.Handler())
	if f.o.Profiling {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	if !f.o.NoGateway {
		gateway, err := f.gateway()
		if err != nil {
			return nil, err
		}
		mux.Handle("/v3/", gateway)
	}
	return f.guard(mux), nil
}

// probes serves health and metrics alone.
func (f *Front) probes() http.Handler { return f.probeMux() }

func (f *Front) probeMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", f.metrics())
	f.registerHealth(mux)
	return mux
}

// guard keeps web pages out: a browser sends their requests to any port of its
// own machine. It also lets gRPC through that shares a connection with HTTP.
func (f *Front) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
			f.grpc.ServeHTTP(w, r)
		case r.Context().Value(safeConn{}) != nil:
			next.ServeHTTP(w, r)
		case !f.hostAllowed(r.Host):
			http.Error(w, "this host name is not served here", http.StatusMisdirectedRequest)
		case !f.o.AnyOrigin && r.Header.Get("Origin") != "" && r.Header.Get("Origin") != "http://"+r.Host && r.Header.Get("Origin") != "https://"+r.Host:
			http.Error(w, "web pages of other origins are not served", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// safeConn is the key in the context of a request that came on a safe connection.
type safeConn struct{}

func noteSafe(ctx context.Context, c net.Conn) context.Context {
	if known, ok := c.(*conn); ok && known.safe {
		return context.WithValue(ctx, safeConn{}, true)
	}
	return ctx
}

// hostAllowed says whether a request may be for this host. An address cannot be a web page's name for us.
func (f *Front) hostAllowed(host string) bool {
	if len(f.o.Hosts) == 0 || slices.Contains(f.o.Hosts, "*") {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return host == "" || host == "localhost" || net.ParseIP(strings.Trim(host, "[]")) != nil || slices.Contains(f.o.Hosts, host)
}

func (f *Front) serveVersion(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	reply(w, map[string]string{"etcdserver": Version, "etcdcluster": storageVersion, "storage": storageVersion})
}

// reply writes JSON without a line's end, as etcd does.
func reply(w http.ResponseWriter, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if _, err := w.Write(data); err != nil {
		return // the client has gone: nobody to tell
	}
}
