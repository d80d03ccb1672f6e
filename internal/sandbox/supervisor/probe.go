// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// probeTimeout is how long one look may take.
const probeTimeout = 3 * time.Second

// Probe says how readiness is seen. The zero value is always ready.
type Probe struct {
	// Socket is a unix socket that accepts a connection.
	Socket string `json:"socket,omitempty"`
	// URL answers 200.
	URL string `json:"url,omitempty"`
	// CAFile verifies the URL's certificate.
	CAFile string `json:"caFile,omitempty"`
}

// check looks once; nil means ready.
func (p Probe) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if p.Socket != "" {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", p.Socket)
		if err != nil {
			return fmt.Errorf("probe socket: %w", err)
		}
		return conn.Close()
	}
	if p.URL != "" {
		return p.get(ctx)
	}
	return nil
}

func (p Probe) get(ctx context.Context) error {
	roots := x509.NewCertPool()
	if p.CAFile != "" {
		pem, err := os.ReadFile(p.CAFile)
		if err != nil {
			return fmt.Errorf("read probe's CA: %w", err)
		}
		roots.AppendCertsFromPEM(pem)
	}
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, http.NoBody)
	if err != nil {
		return fmt.Errorf("build probe: %w", err)
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 200))
	if err != nil {
		return fmt.Errorf("read probe's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("probe %s: %s: %s", p.URL, resp.Status, body)
	}
	return nil
}
