// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// authority signs certificates, as kubeadm does below /etc/kubernetes/pki/etcd.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), next: 1}
	a.issue("ca", func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign })
	return a
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// issue writes name.crt and name.key.
func (a *authority) issue(name string, with func(*x509.Certificate)) *x509.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	a.next++
	with(template)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer, a.key = template, key, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.cert == nil {
		a.cert = leaf
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".crt", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", secret)
	return leaf
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) leaf(name string) *x509.Certificate {
	return a.issue(name, func(*x509.Certificate) {})
}

// asEtcd starts gitcd under etcd's name and waits for etcd's ready line.
func asEtcd(t *testing.T, args ...string) (s *server, log func() string) {
	t.Helper()
	dir := t.TempDir()
	link, out := filepath.Join(dir, "etcd"), filepath.Join(dir, "log")
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	s = &server{t: t, log: &bytes.Buffer{}, done: make(chan error, 1)}
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), link, append(args, "--log-outputs="+out)...)
	s.cmd.Stderr = s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(s.stop)
	log = func() string {
		data, err := os.ReadFile(out)
		if err != nil {
			return ""
		}
		return string(data)
	}
	eventually(t, "etcd's ready line", func() bool {
		select {
		case err := <-s.done:
			s.cmd = nil
			t.Fatalf("etcd ended: %v\n%s%s", err, log(), s.log)
		default:
		}
		return strings.Contains(log(), `"msg":"ready to serve client requests"`)
	})
	return s, log
}

// manifest is the command of kubeadm's static pod, of which only places and ports are the test's.
func manifest(a *authority, data, client, peer, metrics string) []string {
	pki := a.dir
	return []string{
		"--advertise-client-urls=" + client,
		"--cert-file=" + pki + "/server.crt",
		"--client-cert-auth=true",
		"--data-dir=" + data,
		"--feature-gates=InitialCorruptCheck=true",
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=node=" + peer,
		"--key-file=" + pki + "/server.key",
		"--listen-client-urls=" + client,
		"--listen-metrics-urls=" + metrics,
		"--listen-peer-urls=" + peer,
		"--name=node",
		"--peer-cert-file=" + pki + "/peer.crt",
		"--peer-client-cert-auth=true",
		"--peer-key-file=" + pki + "/peer.key",
		"--peer-trusted-ca-file=" + pki + "/ca.crt",
		"--snapshot-count=10000",
		"--trusted-ca-file=" + pki + "/ca.crt",
		"--watch-progress-notify-interval=5s",
	}
}

// TestKubeadmManifest runs what kubeadm writes: probes, clients with and without certificates, new and revoked ones, a restart.
func TestKubeadmManifest(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	for _, name := range []string{"server", "peer", "client"} {
		a.leaf(name)
	}
	revoked := a.leaf("revoked")
	stranger.leaf("client")
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: revoked.SerialNumber, RevocationTime: time.Now()}},
	}, a.cert, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.write("crl", "X509 CRL", list)
	secure := func() string { return strings.Replace(testbin.URL(t), "http:", "https:", 1) }
	client, metrics, data := secure(), testbin.URL(t), filepath.Join(t.TempDir(), "etcd")
	args := append(manifest(a, data, client, secure(), metrics), "--client-crl-file="+a.path("crl"))
	s, log := asEtcd(t, args...)

	etcdctl := func(with *authority, name string, args ...string) (string, error) {
		creds := []string{"--endpoints=" + client, "--cacert=" + a.path("ca.crt"), "--command-timeout=2s", "--dial-timeout=2s"}
		if with != nil {
			creds = append(creds, "--cert="+with.path(name+".crt"), "--key="+with.path(name+".key"))
		}
		return output(t, testbin.Path(t, "etcdctl"), append(creds, args...)...)
	}
	if out, err := etcdctl(a, "client", "put", "a", "b"); err != nil || out != "OK" {
		t.Fatal(out, err)
	}
	for _, table := range [][]string{{"endpoint", "status", "-w", "table"}, {"endpoint", "health", "-w", "table"}, {"member", "list", "-w", "table"}} {
		if out, err := etcdctl(a, "client", table...); err != nil || !strings.Contains(out, "│") {
			t.Errorf("%v: %s %v", table, out, err)
		}
	}
	for what, out := range map[string]func() (string, error){
		"no certificate":        func() (string, error) { return etcdctl(nil, "", "get", "a") },
		"another authority's":   func() (string, error) { return etcdctl(stranger, "client", "get", "a") },
		"a revoked certificate": func() (string, error) { return etcdctl(a, "revoked", "get", "a") },
	} {
		if text, err := out(); err == nil {
			t.Errorf("%s: %s", what, text)
		}
	}
	for _, part := range []string{"rejected connection on client endpoint", "the certificate is revoked"} {
		if !strings.Contains(log(), part) {
			t.Errorf("the log does not say %q", part)
		}
	}
	for _, probe := range []string{"/livez", "/readyz", "/health?serializable=true", "/metrics"} {
		if code := get(t, metrics+probe); code != http.StatusOK {
			t.Errorf("%s: %d", probe, code)
		}
	}
	if code := get(t, metrics+"/v3/kv/range"); code != http.StatusNotFound {
		t.Errorf("keys beside the probes: %d", code)
	}
	rotate(t, a, client)
	s.stop()
	s, _ = asEtcd(t, args...)
	if out, err := etcdctl(a, "client", "get", "a", "--print-value-only"); err != nil || out != "b" {
		t.Error(out, err)
	}
	s.stop()
}

// rotate gives the server another certificate, which the next client must see.
func rotate(t *testing.T, a *authority, url string) {
	t.Helper()
	fresh := a.leaf("server")
	pair, err := tls.LoadX509KeyPair(a.path("client.crt"), a.path("client.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	eventually(t, "the new certificate is shown", func() bool {
		d := tls.Dialer{Config: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}
		c, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "https://"))
		if err != nil {
			return false
		}
		defer c.Close()
		conn, ok := c.(*tls.Conn)
		return ok && conn.ConnectionState().PeerCertificates[0].SerialNumber.Cmp(fresh.SerialNumber) == 0
	})
}

func get(t *testing.T, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// TestEtcdLog has every line in etcd's shape, with what gitcd does not know.
func TestEtcdLog(t *testing.T) {
	t.Parallel()
	url := testbin.URL(t)
	s, log := asEtcd(t, "-data-dir", t.TempDir(), "-listen-client-urls", url, "--experimental-thing=1", "--log-level=debug")
	s.stop()
	if !strings.Contains(log(), "--experimental-thing is unknown to gitcd") {
		t.Error("the unknown flag is not named")
	}
	for line := range strings.Lines(log()) {
		var e struct{ Level, TS, Caller, Msg string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Level == "" || e.TS == "" || e.Caller == "" || e.Msg == "" {
			t.Errorf("%v: %s", err, line)
		}
	}
}

// TestEtcdSockets serves a Unix socket, and a certificate of its own making.
func TestEtcdSockets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := "unix://" + filepath.Join(dir, "s")
	https := strings.Replace(testbin.URL(t), "http:", "https:", 1)
	_, _ = asEtcd(t, "--data-dir="+filepath.Join(dir, "d"), "--listen-client-urls="+socket+","+https, "--auto-tls")
	if out := ctl(t, socket, "put", "a", "b"); out != "OK" {
		t.Error(out)
	}
	cert := filepath.Join(dir, "d", "fixtures", "client", "cert.pem")
	if out := ctl(t, https, "--cacert="+cert, "get", "a", "--print-value-only"); out != "b" {
		t.Error(out)
	}
}

// genuine starts a real etcd on a data directory.
func genuine(t *testing.T, data string) (url string, end func(os.Signal)) {
	t.Helper()
	url, peer := testbin.URL(t), testbin.URL(t)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), testbin.Path(t, "etcd"), "--data-dir="+data, "--listen-client-urls="+url, "--advertise-client-urls="+url,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer, "--log-level=error", "--backend-batch-interval=1m")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended already, unless the test failed
	eventually(t, "etcd answers", func() bool {
		_, err := output(t, testbin.Path(t, "etcdctl"), "--endpoints", url, "--command-timeout=1s", "get", "x")
		return err == nil
	})
	return url, func(s os.Signal) {
		if err := cmd.Process.Signal(s); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // it was told to end
	}
}

// TestAdopt puts gitcd in the place of an etcd that was stopped, and of one that was killed.
func TestAdopt(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "d")
	url, end := genuine(t, data)
	ctl(t, url, "put", "a", "1")
	ctl(t, url, "put", "a", "2")
	end(syscall.SIGTERM)
	url, end = genuine(t, data)
	ctl(t, url, "put", "b", "1")
	end(syscall.SIGKILL)
	if out, err := output(t, program, "etcd", "--data-dir="+data, "--listen-client-urls="+testbin.URL(t)); err == nil || !strings.Contains(out, "entries that its database lacks") {
		t.Fatalf("%v: %s", err, out)
	}
	_, end = genuine(t, data)
	end(syscall.SIGTERM)
	url = testbin.URL(t)
	_, log := asEtcd(t, "--data-dir="+data, "--listen-client-urls="+url)
	if !strings.Contains(log(), "took over the data of another etcd") {
		t.Error(log())
	}
	for _, c := range []struct{ want, key, rev string }{{"2", "a", "0"}, {"1", "a", "2"}, {"1", "b", "0"}} {
		if have := ctl(t, url, "get", c.key, "--rev="+c.rev, "--print-value-only"); have != c.want {
			t.Errorf("%s at %s: %q, want %q", c.key, c.rev, have, c.want)
		}
	}
}

// TestAdoptAuth takes over from an etcd with users and roles only if it is told that they may go: with it goes what kept people out.
func TestAdoptAuth(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "d")
	url, end := genuine(t, data)
	ctl(t, url, "put", "a", "1")
	for _, args := range [][]string{
		{"role", "add", "root"},
		{"user", "add", "root:open-sesame"},
		{"user", "grant-role", "root", "root"},
		{"user", "add", "reader:open-barley"},
	} {
		ctl(t, url, args...)
	}
	end(syscall.SIGTERM)
	here := testbin.URL(t)
	refused := func(also string) {
		t.Helper()
		out, err := output(t, program, "etcd", "--data-dir="+data, "--listen-client-urls="+here)
		if err == nil {
			t.Fatalf("users and roles are dropped in silence: %s", out)
		}
		for _, part := range []string{data, also, "2 users (reader, root)", "1 role (root)", "--drop-auth", "--client-cert-auth"} {
			if !strings.Contains(out, part) {
				t.Errorf("the error does not say %q: %s", part, out)
			}
		}
		if _, err := os.Stat(filepath.Join(data, "repository.git")); err == nil {
			t.Error("it left a repository behind")
		}
	}
	refused("auth is disabled")
	url, end = genuine(t, data)
	ctl(t, url, "auth", "enable")
	if out := ctl(t, url, "--user=root:open-sesame", "get", "a", "--print-value-only"); out != "1" {
		t.Errorf("with auth, before: %q", out)
	}
	end(syscall.SIGTERM)
	refused("auth is enabled")
	db, repo := filepath.Join(data, "member", "snap", "db"), filepath.Join(t.TempDir(), "r.git")
	if out, err := output(t, program, "restore", "--from", db, "--skip-hash-check", "--dir", repo); err == nil || !strings.Contains(out, "auth is enabled, 2 users") {
		t.Errorf("restore: %v %s", err, out)
	}
	if out, err := output(t, program, "restore", "--from", db, "--skip-hash-check", "--dir", repo, "--drop-auth"); err != nil || !strings.Contains(out, "1 keys") {
		t.Errorf("restore without users: %v %s", err, out)
	}
	_, log := asEtcd(t, "--data-dir="+data, "--listen-client-urls="+here, "--drop-auth")
	if have := ctl(t, here, "get", "a", "--print-value-only"); have != "1" {
		t.Errorf("after: %q", have)
	}
	if all := log(); !strings.Contains(all, "without its users and roles") || !strings.Contains(all, "2 users (reader, root)") || strings.Contains(all, "open-") {
		t.Error(all)
	}
}
