// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
)

// listen opens a listener: unix:///path, http://loopback:port or https://host:port
// with mutual TLS. A socket that a dead process left behind is replaced; one
// that answers is somebody else's.
func listen(ctx context.Context, l gitcdv1.Listener) (net.Listener, error) {
	u, err := url.Parse(l.URL)
	if err != nil {
		return nil, &usageError{fmt.Errorf("listen on %q: %w", l.URL, err)}
	}
	switch u.Scheme {
	case "unix":
		return listenUnix(ctx, u.Path)
	case "http":
		return listenTCP(ctx, u.Host)
	case "https":
		if l.TLS == nil {
			return nil, &usageError{fmt.Errorf("listen on %s: https needs a certificate, a key and client authorities", l.URL)}
		}
		return listenTLS(ctx, u.Host, l.TLS)
	default:
		return nil, &usageError{fmt.Errorf("listen on %q: the URL must begin with unix://, http:// or https://", l.URL)}
	}
}

func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if _, err := os.Stat(path); err == nil {
		if conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path); err == nil {
			conn.Close()
			return nil, fmt.Errorf("listen on %s: another process serves this socket; stop it, or choose another path", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove stale socket: %w", err)
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o660); err != nil { //nolint:gosec // the pod's group shares the socket
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
	}
	return l, nil
}

func listenTCP(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; is the port taken?", addr, err)
	}
	return l, nil
}

func listenTLS(ctx context.Context, addr string, files *gitcdv1.ServerTLS) (net.Listener, error) {
	conf, err := serverTLS(files)
	if err != nil {
		return nil, err
	}
	l, err := listenTCP(ctx, addr)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, conf), nil
}

// serveHTTP serves until the context ends, then lets requests finish.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler, grace time.Duration) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, Protocols: &protocols, BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := s.Shutdown(stopping); err != nil {
		return errors.Join(s.Close())
	}
	return nil
}
