// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// dialTimeout is how long a server has to answer.
const dialTimeout = 10 * time.Second

// endpointOptions are a server, and how to reach it.
type endpointOptions struct{ url, ca, cert, key string }

// endpointSource is a running server.
type endpointSource struct {
	client   *clientv3.Client
	revision int64
}

func (o *endpointOptions) open(revision int64) (keySource, error) {
	conf := clientv3.Config{Endpoints: []string{o.url}, DialTimeout: dialTimeout, Logger: zap.NewNop(), MaxCallRecvMsgSize: math.MaxInt32}
	if strings.HasPrefix(o.url, "https://") || o.ca != "" || o.cert != "" {
		var err error
		if conf.TLS, err = o.tls(); err != nil {
			return nil, &usageError{err}
		}
	}
	c, err := clientv3.New(conf)
	if err != nil {
		return nil, fmt.Errorf("reach %s: %w", o.url, err)
	}
	return &endpointSource{client: c, revision: revision}, nil
}

func (o *endpointOptions) tls() (*tls.Config, error) {
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.ca != "" {
		data, err := os.ReadFile(o.ca)
		if err != nil {
			return nil, fmt.Errorf("read --cacert: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("read --cacert: %s has no certificate", o.ca)
		}
	}
	if (o.cert == "") != (o.key == "") {
		return nil, errors.New("--cert and --key go together")
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, fmt.Errorf("read --cert and --key: %w", err)
		}
		out.Certificates = []tls.Certificate{pair}
	}
	return out, nil
}

func (s *endpointSource) each(ctx context.Context, prefix string, yield func(mvcc.KeyValue) error) error {
	key, end := prefix, endOf(prefix)
	if key == "" {
		key = "\x00"
	}
	for {
		wait, cancel := context.WithTimeout(ctx, time.Minute)
		page, err := s.client.Get(wait, key, clientv3.WithRange(end), clientv3.WithLimit(pageKeys), clientv3.WithRev(s.revision))
		cancel()
		if err != nil {
			return fmt.Errorf("read keys of %s: %w", s.client.Endpoints()[0], err)
		}
		if s.revision == 0 {
			s.revision = page.Header.Revision
		}
		for _, kv := range page.Kvs {
			err := yield(mvcc.KeyValue{
				Key: string(kv.Key), Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision,
				Version: kv.Version, Lease: mvcc.LeaseID(kv.Lease),
			})
			if err != nil {
				return err
			}
		}
		if !page.More || len(page.Kvs) == 0 {
			return nil
		}
		key = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
	}
}

func (s *endpointSource) snapshot(ctx context.Context, w io.Writer) (err error) {
	r, err := s.client.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("take a snapshot of %s: %w", s.client.Endpoints()[0], err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("take a snapshot of %s: %w", s.client.Endpoints()[0], err)
	}
	return nil
}

func (s *endpointSource) close(context.Context) error { return s.client.Close() }
