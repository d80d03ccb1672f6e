// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package testbin

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// apiServerPatience is how long kube-apiserver may take to be ready on a machine that is busy.
const apiServerPatience = 2 * time.Minute

// APIServer is a kube-apiserver with RBAC and nothing beside it. It lives as long as the test.
type APIServer struct {
	// URL is where it is. Its certificate is its own, and nobody's.
	URL string
	// Token is that of an administrator.
	Token string
}

// StartAPIServer runs a kube-apiserver on an etcd, and waits until it is ready. More flags may be given.
func StartAPIServer(t *testing.T, etcd string, args ...string) APIServer {
	t.Helper()
	dir, port := t.TempDir(), Port(t)
	s := APIServer{URL: "https://127.0.0.1:" + strconv.Itoa(port), Token: "secret"}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	signing, tokens := filepath.Join(dir, "sa.key"), filepath.Join(dir, "tokens")
	for file, content := range map[string][]byte{
		signing: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
		tokens:  []byte(s.Token + ",admin,admin,system:masters\n"),
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	Start(t, "kube-apiserver", append([]string{
		"--etcd-servers=" + etcd, "--storage-media-type=application/json", "--bind-address=127.0.0.1", "--secure-port=" + strconv.Itoa(port),
		"--cert-dir=" + filepath.Join(dir, "certs"), "--token-auth-file=" + tokens, "--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + signing,
		"--service-account-signing-key-file=" + signing, "--service-cluster-ip-range=10.203.0.0/16",
		"--endpoint-reconciler-type=none", "--disable-admission-plugins=ServiceAccount",
	}, args...)...)
	s.waitReady(t)
	return s
}

func (s APIServer) waitReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), apiServerPatience)
	defer cancel()
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer c.CloseIdleConnections()
	for {
		err := s.ready(ctx, c)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("kube-apiserver is not ready after %s: %v", apiServerPatience, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s APIServer) ready(ctx context.Context, c *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.Token)
	response, err := c.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}
