// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hint"
)

// serveHooks listens to webhooks and has somebody told, until the context ends.
func serveHooks(ctx context.Context, c *gitcdv1.Hooks, tell func()) error {
	l, err := listenTCP(ctx, c.Listen)
	if err != nil {
		return err
	}
	if c.CertFile != "" {
		files := &keyFiles{certFile: c.CertFile, keyFile: c.KeyFile}
		if _, _, err := files.load(); err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, _, err := files.load()
			return cert, err
		}})
	}
	hooks := hint.Handler(func() (string, error) { return readSecret(c.SecretFile) }, tell)
	mux := http.NewServeMux()
	mux.Handle("/hooks", hooks)
	mux.Handle("/hooks/", hooks)
	return serveHTTP(ctx, l, mux, time.Second)
}
