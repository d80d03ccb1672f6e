// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// rules of a user's: the scheduler may change ConfigMaps in namespace default, where its word stands for one of them,
// and no others. Both branches are named: whichever comes second meets the other one's word in main.
const rules = `{"spec":{"merge":{
 "gates":[{"name":"e2e","branches":["heavens/kube-scheduler"],"rules":[
  {"name":"own","keys":["/registry/pods/**","/registry/events/**","/registry/leases/**","/registry/configmaps/default/**"]}]}],
 "policy":{"branches":[
  {"branch":"heavens/kube-scheduler","prefer":[{"key":"/registry/configmaps/default/contested","take":"Ours"}]},
  {"branch":"heavens/apiserver","prefer":[{"key":"/registry/configmaps/default/contested","take":"Theirs"}]}]}}}}`

const noRules = `{"spec":{"merge":{"gates":null,"policy":null}}}`

// outside is a key that those rules do not let the scheduler change.
const outside = "/registry/configmaps/kube-public/outside"

// forward leads a port of this machine to one of a pod's loopback addresses, for as long as the test.
func (b *bed) forward(t *testing.T, to, port string) string {
	t.Helper()
	here := strconv.Itoa(testbin.Port(t))
	cmd := exec.CommandContext(t.Context(), filepath.Join(b.bin, "kubectl"), "--kubeconfig", filepath.Join(b.state, "kubeconfig"),
		"port-forward", to, here+":"+port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address := net.JoinHostPort("127.0.0.1", here)
	eventually(t, 30*time.Second, "a way to "+to, func() error {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	return address
}

// metrics are what the hub's gitcd shows in its pod.
func (b *bed) metrics(t *testing.T) string {
	t.Helper()
	resp, err := http.Get("http://" + b.forward(t, "deployment/blue-hub", "2381") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var out strings.Builder
	if err := resp.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// frontDoor runs gitcd beside the front door, which may look and decide.
func (b *bed) frontDoor(t *testing.T, args ...string) string {
	t.Helper()
	args = append(append([]string{"exec", "deploy/blue-apiserver", "-c", "gitcd", "--", "gitcd"}, args...), "--config", "/etc/gitcd/config.yaml")
	return b.host(t, args...)
}

// look has the hub asked now: a change of the object brings its controller.
func (b *bed) look(t *testing.T) {
	t.Helper()
	b.host(t, "annotate", "automatedmerge", "blue", "--overwrite", "e2e/looked="+strconv.FormatInt(time.Now().UnixNano(), 10))
}

// says waits until the AutomatedMerge and the control plane have a condition.
func (b *bed) says(t *testing.T, condition, want string) {
	t.Helper()
	query := fmt.Sprintf(`jsonpath={range .items[*]}{.status.conditions[?(@.type==%q)].status}/{.status.conditions[?(@.type==%q)].reason} {end}`, condition, condition)
	eventually(t, time.Minute, condition+" "+want, func() error {
		b.look(t)
		if got := strings.TrimSpace(b.host(t, "get", "automatedmerges,headlesscontrolplanes", "-o", query)); got != want+" "+want {
			return errors.New(got)
		}
		return nil
	})
}

// told wants one Event of a reason about each kind.
func (b *bed) told(t *testing.T, reason string, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		eventually(t, time.Minute, reason, func() error {
			selector := "reason=" + reason + ",involvedObject.kind=" + kind
			if got := b.host(t, "get", "events", "--field-selector", selector, "-o", "name"); strings.Count(got, "\n") != 1 {
				return fmt.Errorf("of %s: %q", kind, got)
			}
			return nil
		})
	}
}

// setRules changes the control plane and waits for the hub that has them.
func (b *bed) setRules(t *testing.T, patch string, have func(config string) bool) {
	t.Helper()
	b.host(t, "patch", "headlesscontrolplane", "blue", "--type", "merge", "-p", patch)
	eventually(t, time.Minute, "the hub's configuration", func() error {
		if !have(b.host(t, "get", "configmap", "blue-hub", "-o", `jsonpath={.data.config\.yaml}`)) {
			return errors.New("not yet")
		}
		return nil
	})
	b.look(t)
	b.host(t, "rollout", "status", "deployment/blue-hub", "--timeout=60s")
}

// userRules has a user's gate and policy decide, and a person decide on what they leave open.
func (b *bed) userRules(t *testing.T) {
	t.Helper()
	b.setRules(t, rules, func(config string) bool { return strings.Contains(config, "name: e2e") })
	at := "https://" + b.forward(t, "deployment/blue-kube-scheduler", "6443")
	scheduler := func(args ...string) string {
		return b.blue(t, append([]string{"--server", at, "--tls-server-name", "kubernetes"}, args...)...)
	}
	for _, name := range []string{"contested", "plain"} {
		b.blue(t, "create", "configmap", name, "--from-literal=who=nobody")
		eventually(t, time.Minute, name+" at the scheduler", func() error {
			if got := scheduler("get", "configmap", name, "--ignore-not-found", "-o", "name"); got == "" {
				return errors.New("not there")
			}
			return nil
		})
	}

	scheduler("create", "configmap", "outside", "--namespace", "kube-public", "--from-literal=a=b")
	eventually(t, time.Minute, "the write is undone in the heaven that made it", func() error {
		if got := scheduler("get", "configmaps", "--namespace", "kube-public", "-o", "name"); strings.Contains(got, "outside") {
			return errors.New(got)
		}
		return nil
	})
	if got := b.quarantined(t); got != "Waiting "+outside {
		t.Fatalf("in quarantine is %q", got)
	}
	b.says(t, "QuarantineEmpty", "False/ChangesWait")
	b.told(t, "ChangeQuarantined", "AutomatedMerge", "HeadlessControlPlane")
	if got := b.metrics(t); !strings.Contains(got, `gitcd_hub_refused_total{branch="heavens/kube-scheduler",gate="e2e",kind="Outside"} 1`) {
		t.Errorf("the hub's metrics do not count it:\n%s", got)
	}
	b.frontDoor(t, "quarantine", "reject", "heavens/kube-scheduler", outside, "--reason", "not yours")
	if got := b.quarantined(t); got != "Rejected "+outside {
		t.Errorf("after the rejection in quarantine is %q", got)
	}
	b.frontDoor(t, "quarantine", "approve", "heavens/kube-scheduler", outside, "--reason", "well then")
	eventually(t, time.Minute, "what was approved, at the front door", func() error {
		if got := b.blue(t, "get", "configmaps", "--namespace", "kube-public", "-o", "name"); !strings.Contains(got, "outside") {
			return errors.New(got)
		}
		return nil
	})

	b.conflict(t, scheduler)
	b.setRules(t, noRules, func(config string) bool { return !strings.Contains(config, "name: e2e") })
}

// quarantined is what waits or was rejected.
func (b *bed) quarantined(t *testing.T) string {
	t.Helper()
	var entries []struct{ State, Key string }
	out := b.frontDoor(t, "quarantine", "list", "-o", "json")
	if err := json.Unmarshal([]byte(out), &entries); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var lines []string
	for _, e := range entries {
		lines = append(lines, e.State+" "+e.Key)
	}
	return strings.Join(lines, ", ")
}

// conflict has two heavens change the same while the hub is away; the policy decides, and a person looks.
func (b *bed) conflict(t *testing.T, scheduler func(...string) string) {
	t.Helper()
	b.host(t, "annotate", "automatedmerge", "blue", "cluster.x-k8s.io/paused=")
	b.host(t, "scale", "deployment", "blue-hub", "--replicas=0")
	b.host(t, "wait", "pod", "--for=delete", "--selector", "heaven.trishanku.org/component=hub", "--timeout=60s")
	for _, name := range []string{"contested", "plain"} {
		scheduler("patch", "configmap", name, "--type", "merge", "-p", `{"data":{"who":"scheduler"}}`)
	}
	time.Sleep(1100 * time.Millisecond) // the later writer is told by the second
	for _, name := range []string{"contested", "plain"} {
		b.blue(t, "patch", "configmap", name, "--type", "merge", "-p", `{"data":{"who":"people"}}`)
	}
	b.host(t, "annotate", "automatedmerge", "blue", "cluster.x-k8s.io/paused-")
	const who = "jsonpath={range .items[*]}{.metadata.name}={.data.who} {end}"
	eventually(t, 2*time.Minute, "both heavens have what the policy says", func() error {
		for _, get := range []func(...string) string{scheduler, func(args ...string) string { return b.blue(t, args...) }} {
			if got := get("get", "configmaps", "contested", "plain", "-o", who); got != "contested=scheduler plain=people " {
				return errors.New(got)
			}
		}
		return nil
	})
	b.says(t, "ConflictFree", "False/ConflictsRecorded")
	b.told(t, "ConflictRecorded", "HeadlessControlPlane")
	b.resolveAll(t)
}

// resolveAll shows and resolves the two conflicts, as a person would.
func (b *bed) resolveAll(t *testing.T) {
	t.Helper()
	out := b.frontDoor(t, "conflicts", "list", "-o", "json") // one a line
	if strings.Count(out, "\n") != 2 {
		t.Fatalf("not two conflicts are listed: %s", out)
	}
	for line := range strings.Lines(out) {
		var c struct{ ID string }
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if text := b.frontDoor(t, "conflicts", "show", c.ID); !strings.Contains(text, `"scheduler"`) || !strings.Contains(text, `"people"`) {
			t.Errorf("it does not show both sides: %s", text)
		}
		b.frontDoor(t, "conflicts", "resolve", c.ID, "--note", "as it should be")
	}
	b.says(t, "ConflictFree", "True/ConflictsResolved")
}
