// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
)

// keyFiles is a certificate, its key and, if there are any, the authorities of the other side. The
// files are read again when one of them changes, so that certificates rotate
// without a restart.
type keyFiles struct {
	certFile, keyFile, caFile string

	// mu guards what follows: the last good reading.
	mu struct {
		sync.Mutex
		loaded bool
		stamps [3]time.Time
		cert   *tls.Certificate
		pool   *x509.CertPool
	}
}

// load returns the certificate and the authorities. A half-written change is
// ignored as long as there is an earlier good reading.
func (k *keyFiles) load() (*tls.Certificate, *x509.CertPool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var stamps [3]time.Time
	for i, f := range []string{k.certFile, k.keyFile, k.caFile} {
		if f == "" {
			continue
		}
		info, err := os.Stat(f)
		if err != nil {
			return k.lastLocked(fmt.Errorf("read key file: %w", err))
		}
		stamps[i] = info.ModTime()
	}
	if k.mu.loaded && stamps == k.mu.stamps {
		return k.mu.cert, k.mu.pool, nil
	}
	cert, pool, err := k.read()
	if err != nil {
		return k.lastLocked(err)
	}
	k.mu.loaded, k.mu.stamps, k.mu.cert, k.mu.pool = true, stamps, cert, pool
	return cert, pool, nil
}

func (k *keyFiles) lastLocked(err error) (*tls.Certificate, *x509.CertPool, error) {
	if k.mu.loaded {
		return k.mu.cert, k.mu.pool, nil
	}
	return nil, nil, err
}

func (k *keyFiles) read() (*tls.Certificate, *x509.CertPool, error) {
	var cert *tls.Certificate
	if k.certFile != "" {
		c, err := tls.LoadX509KeyPair(k.certFile, k.keyFile)
		if err != nil {
			return nil, nil, fmt.Errorf("read certificate %s and key %s: %w", k.certFile, k.keyFile, err)
		}
		cert = &c
	}
	if k.caFile == "" {
		return cert, nil, nil
	}
	pem, err := os.ReadFile(k.caFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("read authorities: %s holds no PEM certificate", k.caFile)
	}
	return cert, pool, nil
}

// serverTLS returns a configuration that demands a client certificate.
func serverTLS(files *gitcdv1.ServerTLS) (*tls.Config, error) {
	k := &keyFiles{certFile: files.CertFile, keyFile: files.KeyFile, caFile: files.ClientCAFile}
	if _, _, err := k.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			cert, pool, err := k.load()
			if err != nil {
				return nil, err
			}
			return &tls.Config{
				MinVersion:   tls.VersionTLS12,
				NextProtos:   []string{"h2", "http/1.1"},
				Certificates: []tls.Certificate{*cert},
				ClientAuth:   tls.RequireAndVerifyClientCert,
				ClientCAs:    pool,
			}, nil
		},
	}, nil
}

// client returns an HTTP client that trusts only the authorities of the files
// and shows their certificate.
func (k *keyFiles) client(timeout time.Duration) (*http.Client, error) {
	if _, _, err := k.load(); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}
	transport := &http.Transport{
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
		DialContext:         dialer.DialContext,
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			cert, pool, err := k.load()
			if err != nil {
				return nil, err
			}
			host, _, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: host, NextProtos: []string{"h2", "http/1.1"}}
			if cert != nil {
				conf.Certificates = []tls.Certificate{*cert}
			}
			return (&tls.Dialer{NetDialer: dialer, Config: conf}).DialContext(ctx, network, addr)
		},
	}
	return &http.Client{Transport: transport, Timeout: timeout}, nil
}

// genesisGate waits until the server that makes the first objects is ready.
func genesisGate(g *gitcdv1.Genesis, every func(context.Context) error) (func(context.Context) error, error) {
	client := http.DefaultClient
	if g.CAFile != "" {
		k := &keyFiles{certFile: g.CertFile, keyFile: g.KeyFile, caFile: g.CAFile}
		c, err := k.client(5 * time.Second)
		if err != nil {
			return nil, err
		}
		client = c
	}
	return func(ctx context.Context) error {
		for {
			if err := ready(ctx, client, g.ReadyURL); err == nil {
				return nil
			}
			if err := every(ctx); err != nil {
				return err
			}
		}
	}, nil
}

func ready(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
