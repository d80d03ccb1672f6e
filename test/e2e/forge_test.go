// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/util/secret"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// device is the sandbox's on this machine: what listens there, pods reach.
const device = "headless-host"

const hookSecret = "between the two of us"

// forge is stock Git behind HTTPS, to me with TOKEN. It can be down.
type forge struct {
	url, repository string
	ca              []byte
	down            atomic.Bool
}

func newForge(t *testing.T) *forge {
	t.Helper()
	root := t.TempDir()
	f := &forge{repository: filepath.Join(root, "blue.git")}
	f.git(t, "init", "-q", "--bare", "--initial-branch=main", f.repository)
	f.git(t, "-C", f.repository, "config", "http.receivepack", "true")
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: git, Args: []string{"http-backend"}, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"},
	}
	listener, pair := f.listen(t)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case f.down.Load():
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		case user != "me" || password != "TOKEN":
			http.Error(w, "who are you?", http.StatusUnauthorized)
		default:
			backend.ServeHTTP(w, r)
		}
	}))
	_ = server.Listener.Close()
	server.Listener, server.TLS = listener, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	t.Cleanup(server.Close)
	f.url = "https://" + listener.Addr().String() + "/blue.git"
	return f
}

// listen opens a port that pods reach, with a certificate for it.
func (f *forge) listen(t *testing.T) (net.Listener, tls.Certificate) {
	t.Helper()
	link, err := net.InterfaceByName(device)
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := link.Addrs()
	if err != nil || len(addresses) == 0 {
		t.Fatalf("%s has no address: %v", device, err)
	}
	ip, _, err := net.ParseCIDR(addresses[0].String())
	if err != nil {
		t.Fatal(err)
	}
	generated := &secret.Certificate{KeyEncryptionAlgorithm: bootstrapv1.EncryptionAlgorithmECDSAP256}
	if err := generated.Generate(); err != nil {
		t.Fatal(err)
	}
	ca, err := pki.ParseAuthority(&corev1.Secret{Data: map[string][]byte{"tls.crt": generated.KeyPair.Cert, "tls.key": generated.KeyPair.Key}})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Leaf{CommonName: "forge", IPs: []net.IP{ip}, Server: true}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(leaf.Cert, leaf.Key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(ip.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	f.ca = ca.Cert
	return listener, pair
}

func (f *forge) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// has waits until main at the forge has a ConfigMap.
func (f *forge) has(t *testing.T, name string) {
	t.Helper()
	eventually(t, 2*time.Minute, name+" at the forge", func() error {
		refs := f.git(t, "-C", f.repository, "for-each-ref", "--format=%(refname)", "refs/heads/main")
		if refs == "" || !strings.Contains(f.git(t, "-C", f.repository, "ls-tree", "-r", "--name-only", "main", "registry/configmaps"), "default/"+name+"\n") {
			return errors.New("it is not there")
		}
		return nil
	})
}

// spec names the forge in a GitBackedCluster.
func (f *forge) spec() string {
	return fmt.Sprintf(`{"spec":{"repository":{"forge":{"type":"Git","git":{"url":%q,"credentialsSecretRef":{"name":"forge"},
 "caSecretRef":{"name":"forge-ca"},"pushIntervalSeconds":1,"webhook":{"secretRef":{"name":"forge-hook"}}}}}}}`, f.url)
}

// mirrored gives a running cluster a forge: it gets everything, is waited for while it is down, and is heard at once.
func (b *bed) mirrored(t *testing.T) {
	t.Helper()
	f := newForge(t)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, f.ca, 0o600); err != nil {
		t.Fatal(err)
	}
	b.host(t, "create", "secret", "generic", "forge-ca", "--from-file=ca.crt="+ca)
	b.host(t, "create", "secret", "generic", "forge-hook", "--from-literal=secret="+hookSecret)
	b.host(t, "patch", "gitbackedcluster", "blue", "--type", "merge", "-p", f.spec())
	b.says(t, "ForgeInStep", "False/SecretMissing")
	b.host(t, "create", "secret", "generic", "forge", "--from-literal=username=me", "--from-literal=password=TOKEN")
	b.look(t)
	b.blue(t, "create", "configmap", "mirrored", "--from-literal=who=cluster")
	f.has(t, "mirrored")
	b.says(t, "ForgeInStep", "True/InStep")

	f.down.Store(true)
	b.blue(t, "create", "configmap", "meanwhile", "--from-literal=who=cluster")
	b.says(t, "ForgeInStep", "False/PushesFailing")
	if got := b.host(t, "get", "automatedmerge,headlesscontrolplane", "-o", "jsonpath={.items[*].status.forge.oldestUnmirrored}"); len(strings.Fields(got)) != 2 {
		t.Errorf("the age of what the forge lacks is not in both: %q", got)
	}
	b.told(t, "ForgePushesFailing", "AutomatedMerge")
	f.down.Store(false)
	f.has(t, "meanwhile")
	b.says(t, "ForgeInStep", "True/InStep")

	f.push(t)
	b.hint(t)
	patience := 30 * time.Second // of the minute after which the hub would look by itself
	eventually(t, patience, "what was pushed at the forge", func() error {
		if got := b.blue(t, "get", "configmap", "mirrored", "-o", "jsonpath={.data.who}"); got != "person" {
			return errors.New(got)
		}
		return nil
	})
	for _, kind := range []string{"configmaps", "events"} {
		if strings.Contains(b.host(t, "get", kind, "-o", "yaml"), hookSecret) {
			t.Errorf("the secret is in %s", kind)
		}
	}
}

// push changes main at the forge, as a person would.
func (f *forge) push(t *testing.T) {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	f.git(t, "clone", "-q", f.repository, clone)
	name := filepath.Join(clone, "registry", "configmaps", "default", "mirrored")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), `"cluster"`, `"person"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	f.git(t, "-C", clone, "-c", "user.name=p", "-c", "user.email=p@example.org", "commit", "-q", "-am", "change mirrored")
	eventually(t, time.Minute, "a push to main", func() error {
		f.git(t, "-C", clone, "-c", "user.name=p", "-c", "user.email=p@example.org", "pull", "-q", "--no-rebase")
		return exec.CommandContext(t.Context(), "git", "-C", clone, "push", "-q", "origin", "main").Run()
	})
}

// hint calls the URL that the status says, signed and not, and believes the certificate that the hub shows only by its authority.
func (b *bed) hint(t *testing.T) {
	t.Helper()
	target := b.host(t, "get", "automatedmerge", "blue", "-o", "jsonpath={.status.forge.webhookURL}")
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: b.trust(t)}}
	body := `{"ref":"refs/heads/main"}`
	mac := hmac.New(sha256.New, []byte(hookSecret))
	_, _ = io.WriteString(mac, body)
	for signature, want := range map[string]int{"": http.StatusForbidden, hex.EncodeToString(mac.Sum(nil)): http.StatusNoContent} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Hub-Signature-256", "sha256="+signature)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("signed %q, the hub answers %s", signature, resp.Status)
		}
	}
}

// trust is the authority that the hub's certificate is signed by.
func (b *bed) trust(t *testing.T) *tls.Config {
	t.Helper()
	encoded := b.host(t, "get", "secret", "blue-git-ca", "-o", `jsonpath={.data.tls\.crt}`)
	ca, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("no certificate in %q", ca)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
}
