// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// The bars of the quick start.
const (
	apiReady    = 60.0 // seconds
	podsRunning = 15.0
	whole       = 300.0 // seconds, with everything built
	resident    = 64 << 20
)

const plaintext = "plain-text-that-must-not-reach-git"

// story is what `sandbox quickstart -o json` prints.
type story struct {
	APIReady    float64 `json:"apiReadySeconds"`
	PodsRunning float64 `json:"podsRunningSeconds"`
	Seconds     float64 `json:"seconds"`
	URL         string  `json:"url"`
	Gitcd       []struct {
		Where string `json:"where"`
		Bytes int64  `json:"bytes"`
	} `json:"gitcd"`
	Steps []struct {
		Name    string  `json:"name"`
		Seconds float64 `json:"seconds"`
	} `json:"steps"`
}

// bed is the machine that the test makes its sandbox on.
type bed struct {
	bin, state string
}

func newBed(t *testing.T) *bed {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("the end-to-end test makes namespaces and containers: run it as root")
	}
	bin := testbin.Dir(t, "sandbox")
	state := os.Getenv("HEADLESS_SANDBOX_DIR")
	if state == "" {
		state = "/var/lib/headless-sandbox"
	}
	return &bed{bin: bin, state: state}
}

// command runs a command to its end and returns what it printed to stdout; stderr goes to the test's.
func (b *bed) command(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, name), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out.String())
	}
	return out.String(), nil
}

func (b *bed) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := b.command(t.Context(), name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// host and blue run kubectl on the host and on the headless cluster.
func (b *bed) host(t *testing.T, args ...string) string {
	t.Helper()
	return b.must(t, "kubectl", append([]string{"--kubeconfig", filepath.Join(b.state, "kubeconfig")}, args...)...)
}

func (b *bed) blue(t *testing.T, args ...string) string {
	t.Helper()
	return b.must(t, "kubectl", append([]string{"--kubeconfig", filepath.Join(b.state, "clusters", "blue", "kubeconfig")}, args...)...)
}

func (b *bed) quickstart(t *testing.T) story {
	t.Helper()
	var s story
	out := b.must(t, "sandbox", "quickstart", "-o", "json", "--state-dir", b.state, "--bin-dir", b.bin)
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return s
}

func (b *bed) down(t *testing.T) {
	t.Helper()
	b.must(t, "sandbox", "quickstart", "down", "--state-dir", b.state, "--bin-dir", b.bin)
}

// eventually tries until it works.
func eventually(t *testing.T, patience time.Duration, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s: %v", what, patience, err)
		}
		time.Sleep(time.Second)
	}
}

func TestQuickstart(t *testing.T) {
	b := newBed(t)
	b.down(t) // what an earlier run may have left
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("KEEP") != "" {
			return
		}
		// The test's own context has ended.
		if _, err := b.command(context.Background(), "sandbox", "quickstart", "down", "--state-dir", b.state, "--bin-dir", b.bin); err != nil {
			t.Error(err)
		}
	})
	s := b.quickstart(t)

	t.Run("it keeps its bars", func(t *testing.T) { bars(t, s) })
	t.Run("the cluster is whole", func(t *testing.T) { b.wholeCluster(t) })
	t.Run("a secret stays out of Git", func(t *testing.T) { b.secret(t) })
	t.Run("no gate refuses anything", func(t *testing.T) { b.nothingRefused(t) })
	t.Run("it is safe to run again", func(t *testing.T) { b.again(t) })
	t.Run("a gate and a policy of the user decide", func(t *testing.T) { b.userRules(t) })
	t.Run("a forge has it all and is heard", func(t *testing.T) { b.mirrored(t) })
	t.Run("a deleted cluster leaves nothing", func(t *testing.T) { b.deleteCluster(t) })
	t.Run("down removes everything", func(t *testing.T) { b.nothingLeft(t) })
}

func bars(t *testing.T, s story) {
	t.Helper()
	for _, bar := range []struct {
		what      string
		have, max float64
	}{
		{"seconds from kubectl apply to a ready API", s.APIReady, apiReady},
		{"seconds from a Deployment to 3 pods Running", s.PodsRunning, podsRunning},
		{"seconds of the whole quick start", s.Seconds, whole},
	} {
		t.Logf("%s: %.1f (at most %.0f)", bar.what, bar.have, bar.max)
		if bar.have <= 0 || bar.have > bar.max {
			t.Errorf("%s: %.1f, want at most %.0f", bar.what, bar.have, bar.max)
		}
	}
	if len(s.Gitcd) < 5 {
		t.Errorf("the memory of %d gitcds was measured; there are at least the host's, the hub and four heavens", len(s.Gitcd))
	}
	for _, g := range s.Gitcd {
		t.Logf("gitcd of %s: %d MiB resident", g.Where, g.Bytes>>20)
		if g.Bytes <= 0 || g.Bytes > resident {
			t.Errorf("gitcd of %s takes %d bytes, want at most %d", g.Where, g.Bytes, resident)
		}
	}
	for _, step := range s.Steps {
		t.Logf("%6.1f s  %s", step.Seconds, step.Name)
	}
}

func (b *bed) wholeCluster(t *testing.T) {
	t.Helper()
	const isReady = `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`
	if got := b.blue(t, "get", "nodes", "-o", isReady); got != "True" {
		t.Errorf("nodes of blue are ready: %q", got)
	}
	eventually(t, time.Minute, "the Machine has a nodeRef", func() error {
		if ref := b.host(t, "get", "machines", "-o", "jsonpath={.items[*].status.nodeRef.name}"); ref == "" {
			return errors.New("no nodeRef")
		}
		return nil
	})
	eventually(t, time.Minute, "the Cluster is Available", func() error {
		if got := b.host(t, "get", "cluster", "blue", "-o", `jsonpath={.status.conditions[?(@.type=="Available")].status}`); got != "True" {
			return errors.New(b.host(t, "get", "cluster", "blue", "-o", "jsonpath={.status.conditions}"))
		}
		return nil
	})
	if got := b.blue(t, "get", "pods", "-o", "jsonpath={.items[*].status.phase}"); got != strings.TrimSuffix(strings.Repeat("Running ", 3), " ") {
		t.Errorf("pods of blue are %q", got)
	}
	authors := b.git(t, "log", "--format=%an", "main")
	for _, who := range []string{"apiserver", "kube-controller-manager", "kube-scheduler"} {
		if !strings.Contains(authors, who+"\n") {
			t.Errorf("main has no commit by %s", who)
		}
	}
	if branches := b.git(t, "branch", "--list", "nodes/*"); !strings.Contains(branches, "nodes/") {
		t.Errorf("no node's branch: %q", branches)
	}
	b.git(t, "fsck", "--strict")
}

// git runs stock Git on what the quick start fetched of the upstream.
func (b *bed) git(t *testing.T, args ...string) string {
	t.Helper()
	dir := filepath.Join(b.state, "clusters", "blue", "upstream.git")
	out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		t.Fatalf("git %v: %v", args, err)
	}
	return string(out)
}

func (b *bed) secret(t *testing.T) {
	t.Helper()
	b.blue(t, "create", "secret", "generic", "e2e", "--from-literal=key="+plaintext)
	var objects string
	eventually(t, time.Minute, "the secret in the upstream", func() error {
		b.quickstart(t) // fetches
		objects = b.git(t, "cat-file", "--batch", "--batch-all-objects", "--unordered", "--buffer")
		if !strings.Contains(b.git(t, "ls-tree", "-r", "--name-only", "main"), "registry/secrets/default/e2e") {
			return errors.New("it is not in main yet")
		}
		return nil
	})
	if !strings.Contains(objects, "k8s:enc:") {
		t.Error("no encrypted value in the upstream: the search proves nothing")
	}
	for _, needle := range []string{plaintext, base64.StdEncoding.EncodeToString([]byte(plaintext))} {
		if strings.Contains(objects, needle) {
			t.Errorf("an object of the upstream contains %q", needle)
		}
	}
}

// nothingRefused asks the hub from the front door: what the components and the kubelet do is inside their gates.
func (b *bed) nothingRefused(t *testing.T) {
	t.Helper()
	out := b.host(t, "exec", "deploy/blue-apiserver", "-c", "gitcd", "--", "gitcd", "quarantine", "list", "--config", "/etc/gitcd/config.yaml", "-o", "json")
	if strings.TrimSpace(out) != "[]" {
		t.Errorf("in quarantine: %s", out)
	}
}

func (b *bed) again(t *testing.T) {
	t.Helper()
	const uids = "jsonpath={.items[*].metadata.uid}"
	pods, heavens := b.blue(t, "get", "pods", "-o", uids), b.host(t, "get", "pods", "-o", uids)
	b.quickstart(t)
	if got := b.blue(t, "get", "pods", "-o", uids); got != pods {
		t.Errorf("pods of blue were %s, are %s", pods, got)
	}
	if got := b.host(t, "get", "pods", "-o", uids); got != heavens {
		t.Errorf("pods of the host were %s, are %s", heavens, got)
	}
}

func (b *bed) deleteCluster(t *testing.T) {
	t.Helper()
	b.host(t, "delete", "cluster", "blue", "--timeout=180s")
	kinds := "headlesscontrolplanes,trishankuheavens,automatedmerges,gitrepositories,gitbackedclusters,gitbackedmachines,headlessconfigs,machines,deployments,persistentvolumeclaims,pods"
	eventually(t, 2*time.Minute, "nothing of blue is left", func() error {
		if left := strings.TrimSpace(b.host(t, "get", kinds, "-o", "name")); left != "" {
			return errors.New(left)
		}
		return nil
	})
	for line := range strings.Lines(b.host(t, "get", "secrets,configmaps,services", "-o", "name")) {
		if strings.Contains(line, "/blue") {
			t.Errorf("%s is left", strings.TrimSpace(line))
		}
	}
}

func (b *bed) nothingLeft(t *testing.T) {
	t.Helper()
	b.down(t)
	if _, err := os.Stat(b.state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", b.state, err)
	}
	netns, err := exec.CommandContext(t.Context(), "ip", "netns", "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(netns), "headless") {
		t.Errorf("network namespaces are left: %s", netns)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, b.state) {
			t.Errorf("a mount is left: %s", line)
		}
	}
	if links, err := exec.CommandContext(t.Context(), "ip", "-o", "link").Output(); err != nil || strings.Contains(string(links), "headless") {
		t.Errorf("network devices are left: %v %s", err, links)
	}
}
