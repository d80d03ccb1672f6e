// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/sha1" //nolint:gosec // etcd makes its ids so
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
)

// errNoMetricsTLS is etcd's text.
var errNoMetricsTLS = errors.New("client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url")

// listen opens all listeners. As etcd does, it listens wherever it is told to,
// and says loudly what that means.
func (o *etcdOptions) listen(ctx context.Context, log *slog.Logger) (endpoints []etcdapi.Endpoint, err error) {
	defer func() {
		if err != nil {
			for _, e := range endpoints {
				_ = e.Listener.Close() // nobody has connected yet
			}
			endpoints = nil
		}
	}()
	conf, err := o.tlsConfig()
	if err != nil {
		return nil, err
	}
	both := etcdapi.AllTraffic
	if o.listenHTTP != "" {
		both = etcdapi.OnlyGRPC
	}
	for _, group := range []struct {
		flag, urls string
		traffic    etcdapi.Traffic
	}{
		{"--listen-client-urls", o.listenClient, both},
		{"--listen-client-http-urls", o.listenHTTP, etcdapi.OnlyHTTP},
		{"--listen-metrics-urls", o.listenMetrics, etcdapi.OnlyProbes},
	} {
		places, err := placesOf(group.flag, group.urls)
		if err != nil {
			return endpoints, err
		}
		for _, p := range places {
			e, err := p.open(ctx, group.traffic, conf)
			if err != nil {
				return endpoints, err
			}
			endpoints = append(endpoints, e)
			o.warnOpen(log, p, group.traffic)
		}
	}
	return endpoints, nil
}

// open listens at a place.
func (p place) open(ctx context.Context, t etcdapi.Traffic, conf *tls.Config) (etcdapi.Endpoint, error) {
	e := etcdapi.Endpoint{Plain: p.plain, Traffic: t}
	switch {
	case !p.secure:
	case conf != nil:
		e.TLS = conf
	case t == etcdapi.OnlyProbes:
		return e, &usageError{errNoMetricsTLS}
	default:
		return e, &usageError{fmt.Errorf("TLS key/cert (--cert-file, --key-file) must be provided for client url %s with HTTPS scheme", p.url)}
	}
	var err error
	e.Listener, err = p.listen(ctx)
	return e, err
}

// warnOpen says when anybody on the network can read and write.
func (o *etcdOptions) warnOpen(log *slog.Logger, p place, t etcdapi.Traffic) {
	if p.network == "unix" || p.loopback() || t == etcdapi.OnlyProbes {
		return
	}
	switch {
	case p.plain:
		log.Warn("serving client traffic insecurely; this is strongly discouraged! Whoever reaches this address reads and writes all keys: listen on loopback, or give --cert-file, --key-file, --trusted-ca-file and --client-cert-auth", "url", p.url)
	case !o.demandsCertificates():
		log.Warn("clients need no certificate: whoever reaches this address reads and writes all keys; give --trusted-ca-file and --client-cert-auth", "url", p.url)
	}
}

// place is an address, and how it is served.
type place struct {
	url, network, address string
	secure, plain         bool
}

func (p place) loopback() bool {
	host, _, err := net.SplitHostPort(p.address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

func (p place) listen(ctx context.Context) (net.Listener, error) {
	if p.network == "unix" {
		return listenUnix(ctx, p.address)
	}
	return listenTCP(ctx, p.address)
}

// placesOf reads a list of URLs. One address may be there twice, with TLS and without.
func placesOf(flagName, urls string) ([]place, error) {
	var out []place
	at := map[string]int{} // network and address -> its place in out
	for _, raw := range split(urls) {
		u, err := url.Parse(raw)
		if err != nil {
			return nil, &usageError{fmt.Errorf("%s: %w", flagName, err)}
		}
		p := place{url: raw, network: "tcp", address: u.Host}
		switch u.Scheme {
		case "http":
			p.plain = true
		case "https":
			p.secure = true
		case "unix", "unixs":
			p.network, p.address = "unix", u.Host+u.Path
			p.secure, p.plain = u.Scheme == "unixs", u.Scheme == "unix"
		default:
			return nil, &usageError{fmt.Errorf("%s: %q: the URL must begin with http://, https://, unix:// or unixs://", flagName, raw)}
		}
		if p.network == "tcp" && !strings.Contains(p.address, ":") {
			return nil, &usageError{fmt.Errorf("%s: %q has no port", flagName, raw)}
		}
		key := p.network + " " + p.address
		if i, twice := at[key]; twice && !strings.HasSuffix(p.address, ":0") {
			out[i].secure, out[i].plain = out[i].secure || p.secure, out[i].plain || p.plain
			continue
		}
		at[key] = len(out)
		out = append(out, p)
	}
	return out, nil
}

// serverOptions is what the API says of itself, and its limits.
func (o *etcdOptions) serverOptions() etcdapi.Options {
	return etcdapi.Options{
		Name: o.name, ClientURLs: split(o.advertiseClient), PeerURLs: split(o.advertisePeer),
		ClusterID: o.clusterID(), MemberID: o.memberID(),
		ProgressInterval: o.progressInterval,
		MaxRequestBytes:  int(min(o.maxRequestBytes, math.MaxInt32)), MaxTxnOps: int(min(o.maxTxnOps, math.MaxInt32)),
		KeepAliveMinTime: o.keepAliveMin, KeepAliveInterval: o.keepAliveEvery, KeepAliveTimeout: o.keepAliveTimeout,
	}
}

func (o *etcdOptions) maxStreams() uint32 {
	return uint32(min(o.maxConcurrentStreams, math.MaxUint32))
}

// minLeaseTTL is etcd's bound: no lease may end before an election could.
func (o *etcdOptions) minLeaseTTL() int64 {
	beat := max(o.heartbeat, 1)
	ms := 3 * (o.election / beat) / 2 * beat
	return int64(max((ms+999)/1000, 1)) //nolint:gosec // seconds
}

// memberID is the one that etcd gives the same member: what knows the one knows the other.
func (o *etcdOptions) memberID() uint64 {
	urls := split(o.advertisePeer)
	slices.Sort(urls)
	return idOf([]byte(strings.Join(urls, "") + o.clusterToken))
}

// clusterID is the one that etcd gives a cluster of this member.
func (o *etcdOptions) clusterID() uint64 {
	return idOf(binary.BigEndian.AppendUint64(nil, o.memberID()))
}

func idOf(data []byte) uint64 {
	sum := sha1.Sum(data) //nolint:gosec // a name, not a secret
	return binary.BigEndian.Uint64(sum[:8])
}
