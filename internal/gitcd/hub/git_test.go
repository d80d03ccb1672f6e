// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.make("ca", &x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true})
	return a
}

// make writes <file>.crt and <file>.key.
func (a *authority) make(file string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		file + ".crt": {Type: "CERTIFICATE", Bytes: der}, file + ".key": {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// client writes a client's certificate.
func (a *authority) client(file, name string) {
	a.t.Helper()
	a.make(file, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, KeyUsage: x509.KeyUsageDigitalSignature,
	})
}

// git runs stock Git with a client's certificate.
func (a *authority) git(file, dir string, args ...string) (string, error) {
	a.t.Helper()
	cmd := exec.CommandContext(a.t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_SSL_CAINFO="+filepath.Join(a.dir, "ca.crt"), "GIT_SSL_CERT="+filepath.Join(a.dir, file+".crt"), "GIT_SSL_KEY="+filepath.Join(a.dir, file+".key"),
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (a *authority) mustGit(file, dir string, args ...string) string {
	a.t.Helper()
	out, err := a.git(file, dir, args...)
	if err != nil {
		a.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// startTLS runs a hub over mutual TLS, with its repository on the real disk.
func startTLS(t *testing.T, a *authority) (url, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "hub.git")
	j, err := journal.Open(t.Context(), vfs.OS{}, dir, journal.Options{PublishInterval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, j, hub.Options{Identify: hub.CommonName})
	r.run()
	a.make("hub", &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	pair, err := tls.LoadX509KeyPair(filepath.Join(a.dir, "hub.crt"), filepath.Join(a.dir, "hub.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	server := httptest.NewUnstartedServer(r.hub.Handler())
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven, MinVersion: tls.VersionTLS13}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL, dir
}

// TestStockGitOverTLS lets stock Git be a heaven: it clones with a certificate, and pushes its branch and no other.
func TestStockGitOverTLS(t *testing.T) {
	a := newAuthority(t)
	url, dir := startTLS(t, a)
	for file, name := range map[string]string{"one": "heavens/one", "two": "nodes/two", "admin": hub.Admin, "stranger": "somebody"} {
		a.client(file, name)
	}
	repo := url + "/repo.git"
	one, two := filepath.Join(a.dir, "one"), filepath.Join(a.dir, "two")
	a.mustGit("one", "", "clone", "-q", repo, one)
	write := func(dir, name, content string) {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(one, "registry/pods/default/a", "{\n \"n\": 1\n}\n")
	a.mustGit("one", one, "add", "-A")
	a.mustGit("one", one, "commit", "-q", "-m", "first")
	if out, err := a.git("one", one, "push", "origin", "HEAD:refs/heads/main"); err == nil || !strings.Contains(out, "may push") {
		t.Fatalf("push of main: %v\n%s", err, out)
	}
	a.mustGit("one", one, "push", "-q", "origin", "HEAD:refs/heads/heavens/one")
	for deadline := time.Now().Add(20 * time.Second); ; {
		if out := a.mustGit("two", "", "ls-remote", repo, "refs/heads/main"); out != "" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no main")
		}
	}
	a.mustGit("two", "", "clone", "-q", repo, two)
	write(two, "registry/pods/default/b", "{\n \"n\": 2\n}\n")
	write(one, "registry/pods/default/c", "{\n \"n\": 3\n}\n")
	for file, dir := range map[string]string{"one": one, "two": two} {
		a.mustGit(file, dir, "add", "-A")
		a.mustGit(file, dir, "commit", "-q", "-m", "more")
	}
	a.mustGit("one", one, "push", "-q", "origin", "HEAD:refs/heads/heavens/one")
	a.mustGit("two", two, "push", "-q", "origin", "HEAD:refs/heads/nodes/two")
	for deadline := time.Now().Add(20 * time.Second); ; {
		a.mustGit("one", one, "fetch", "-q", "origin")
		if out := a.mustGit("one", one, "ls-tree", "-r", "--name-only", "origin/main"); strings.Count(out, "\n") == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("main does not have the three files")
		}
	}
	a.mustGit("one", one, "fsck", "--strict", "--no-progress")
	time.Sleep(200 * time.Millisecond) // the journal shows its refs to stock Git
	a.mustGit("one", dir, "fsck", "--strict", "--no-progress")
	a.mustGit("admin", "", "ls-remote", repo)
	if out, err := a.git("stranger", "", "ls-remote", repo); err == nil || !strings.Contains(out, "403") {
		t.Fatalf("a stranger: %v\n%s", err, out)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}}}
	client.Transport.(*http.Transport).TLSClientConfig.RootCAs.AddCert(a.cert)
	resp, err := client.Get(url + "/v1/status") // without a certificate
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusForbidden || err != nil || !strings.Contains(string(text), "certificate") {
		t.Fatalf("without a certificate: %s %s %v", resp.Status, text, err)
	}
}
