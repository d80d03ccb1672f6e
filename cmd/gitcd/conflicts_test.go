// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// disagreement is a repository with one conflict on record: main's replicas stand, a branch wanted others.
type disagreement struct {
	t    *testing.T
	work string
}

func deployment(name string, replicas int) string {
	return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":%q,"namespace":"default","labels":{"app":"web"}},"spec":{"replicas":%d,`+
		`"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"web","image":"web:%d"}]}}}}`, name, replicas, replicas)
}

func newDisagreement(t *testing.T) *disagreement {
	t.Helper()
	d := &disagreement{t: t, work: filepath.Join(t.TempDir(), "work")}
	run(t, "git", "init", "-q", "-b", "conflicts", d.work)
	return d
}

func (d *disagreement) blob(value string) string {
	d.t.Helper()
	write(d.t, d.work, "value", value)
	id := git(d.t, d.work, "hash-object", "-w", "value")
	if err := os.Remove(filepath.Join(d.work, "value")); err != nil {
		d.t.Fatal(err)
	}
	return id
}

// record is about a field of a Deployment, or about all of it.
func (d *disagreement) record(name, path, ours, theirs string) string {
	d.t.Helper()
	side := func(branch, value string) map[string]any {
		s := map[string]any{"branch": branch}
		if value != "" {
			s["blob"] = d.blob(value)
		}
		return s
	}
	text, err := json.Marshal(map[string]any{
		"key": "/registry/deployments/default/" + name, "path": path, "took": "ours", "branch": "main", "why": "branch-order", "reason": "main's value has been seen by others",
		"base": side("", deployment(name, 1)), "ours": side("main", ours), "theirs": side("heavens/kcm", theirs), "who": "hub", "when": "2026-11-22T17:00:00Z",
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

func (d *disagreement) file(name, id, record string) {
	d.t.Helper()
	write(d.t, d.work, "registry/deployments/default/"+name+"/"+id+".json", record)
	commit(d.t, d.work, "record 1 conflicts")
}

func fails(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	out, err := output(t, program, args...)
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) || exit.ExitCode() != code || !strings.Contains(out, want) {
		t.Errorf("gitcd %q: %v, want exit code %d and %q:\n%s", args, err, code, want, out)
	}
}

// TestConflicts lists, shows and resolves in a clone as people have it.
func TestConflicts(t *testing.T) {
	d := newDisagreement(t)
	d.file("web", "2886f83c00000001", d.record("web", ".spec.replicas", deployment("web", 2), deployment("web", 3)))
	d.file("api", "91ab07de00000002", d.record("api", "", deployment("api", 2), ""))
	clone := filepath.Join(t.TempDir(), "clone")
	run(t, "git", "clone", "-q", d.work, clone)

	gitcd := func(args ...string) string {
		return run(t, program, append(append([]string{"conflicts"}, args...), "--dir", clone)...)
	}
	for _, want := range []string{"2886f83c00000001", ".spec.replicas", "main", "heavens/kcm", "branch-order"} {
		if out := gitcd("list"); !strings.Contains(out, want) || strings.Count(out, "\n") != 2 {
			t.Errorf("the list has no %q:\n%s", want, out)
		}
	}
	if out := gitcd("show", "2886"); !strings.Contains(out, "main's value has been seen by others") {
		t.Errorf("shown:\n%s", out)
	}
	var object struct{ Spec struct{ Replicas int } }
	if err := json.Unmarshal([]byte(gitcd("show", "2886", "--side", "other")), &object); err != nil || object.Spec.Replicas != 3 {
		t.Errorf("the other side: %+v: %v", object, err)
	}
	fails(t, 1, "no such conflict", "conflicts", "show", "ffff", "--dir", clone)
	fails(t, 2, "write table or json", "conflicts", "list", "-o", "xml", "--dir", clone)
	fails(t, 2, "--hub", "conflicts", "list")
	fails(t, 2, "goes with --take-other", "conflicts", "resolve", "2886", "--kubeconfig", "x", "--dir", clone)

	if out := gitcd("resolve", "2886", "--by", "jane", "--note", "two will do"); !strings.Contains(out, "is resolved: seen") {
		t.Errorf("resolve: %s", out)
	}
	fails(t, 1, "kubectl delete -f -", "conflicts", "resolve", "91ab", "--take-other", "--dir", clone)
	fails(t, 2, "--force goes with --take-other", "conflicts", "resolve", "91ab", "--force", "--dir", clone)
	if out := gitcd("resolve", "91ab", "--by", "jane", "--take-other", "--force"); !strings.Contains(out, `"name":"api","namespace":"default"`) || !strings.Contains(out, "kubectl delete -f -") {
		t.Errorf("resolve by deletion: %s", out)
	}
	fails(t, 1, "resolved already, by jane", "conflicts", "resolve", "2886", "--dir", clone)
	if out := gitcd("list", "-o", "json"); out != "" {
		t.Errorf("still open: %s", out)
	}
	if out := gitcd("list", "--all", "-o", "json"); strings.Count(out, `"by":"jane"`) != 2 || !strings.Contains(out, `"note":"two will do"`) {
		t.Errorf("all: %s", out)
	}
	if out := git(t, clone, "log", "--format=%an %s", "conflicts"); !strings.HasPrefix(out, "jane resolve conflict 91ab07de00000002: took-other\njane resolve conflict 2886f83c00000001: seen\n") {
		t.Errorf("history:\n%s", out)
	}
	git(t, clone, "fsck", "--strict")
}

// TestConflictsVerified resolves by the other side's value, without an API server, once main in the repository has it.
func TestConflictsVerified(t *testing.T) {
	d := newDisagreement(t)
	main := filepath.Join(t.TempDir(), "main")
	run(t, "git", "init", "-q", "-b", "main", main)
	merged := func(name, value string) { // main writes
		if file := "registry/deployments/default/" + name; value == "" {
			git(t, main, "rm", "-q", file)
		} else {
			write(t, main, file, value)
		}
		commit(t, main, name)
		git(t, d.work, "fetch", "-q", main, "+main:refs/remotes/origin/main")
	}
	resolve := []string{"conflicts", "resolve", "--take-other", "--dir", d.work, "--by", "jane"}
	d.file("web", "0001", d.record("web", ".spec.replicas", deployment("web", 2), deployment("web", 3)))
	fails(t, 1, "fetch main", append(resolve, "0001")...)
	merged("web", deployment("web", 2))
	merged("gone", deployment("gone", 2))
	merged("whole", deployment("whole", 2))
	d.file("gone", "0002", d.record("gone", "", deployment("gone", 2), ""))
	d.file("whole", "0003", d.record("whole", "", deployment("whole", 2), deployment("whole", 4)))
	for _, id := range []string{"0001", "0002", "0003"} {
		fails(t, 1, "does not have that value yet", append(resolve, id)...)
		if out := run(t, program, "conflicts", "list", "--dir", d.work); !strings.Contains(out, id) {
			t.Errorf("%s is not open any more:\n%s", id, out)
		}
	}
	merged("web", strings.Replace(deployment("web", 3), `"app":"web"`, `"app":"web","by":"hand"`, 1)) // the field alone counts
	merged("gone", "")
	merged("whole", strings.Replace(deployment("whole", 4), `"labels"`, `"uid":"1","generation":7,"labels"`, 1))
	for _, id := range []string{"0001", "0002", "0003"} {
		run(t, program, append(resolve, id)...)
	}
	if out := run(t, program, "conflicts", "list", "--dir", d.work, "-o", "json"); out != "" {
		t.Errorf("still open: %s", out)
	}
	// A main that has not got the merge yet shows nothing, whatever its value is.
	later := strings.Replace(d.record("old", ".spec.replicas", deployment("old", 2), deployment("old", 3)), `"branch":"main"`, `"branch":"main","commit":"`+strings.Repeat("1", 40)+`"`, 2)
	d.file("old", "0004", later)
	merged("old", deployment("old", 3))
	fails(t, 1, "fetch main", append(resolve, "0004")...)
}

// TestConflictsInMessages reads what merges said where no hub files it, and files it with the first decision.
func TestConflictsInMessages(t *testing.T) {
	d := newDisagreement(t)
	var lines []string
	for i, name := range []string{"web", "api"} {
		record := d.record(name, ".spec.replicas", deployment(name, 2), deployment(name, 3))
		lines = append(lines, fmt.Sprintf(`Conflict: "/registry/deployments/default/%s/%016x.json" %s`, name, i+1, record))
	}
	git(t, d.work, "checkout", "-q", "-b", "main")
	git(t, d.work, "commit", "-q", "--allow-empty", "-m", "merge\n\nConflicts: 2\n"+strings.Join(lines, "\n")+"\n\nEpoch: 1")
	if out := run(t, program, "conflicts", "list", "--dir", d.work); strings.Count(out, "\n") != 2 {
		t.Fatalf("listed:\n%s", out)
	}
	run(t, program, "conflicts", "resolve", fmt.Sprintf("%016x", 1), "--by", "jane", "--dir", d.work)
	if out := run(t, program, "conflicts", "list", "--dir", d.work, "-o", "json"); strings.Count(out, `"key"`) != 1 || !strings.Contains(out, "/api") {
		t.Errorf("afterwards open:\n%s", out)
	}
}

// TestConflictsOfAServedRepository reads it all the same, and leaves the writing to its server.
func TestConflictsOfAServedRepository(t *testing.T) {
	d := newDisagreement(t)
	d.file("web", "2886f83c00000001", d.record("web", ".spec.replicas", deployment("web", 2), deployment("web", 3)))
	dir, url := filepath.Join(t.TempDir(), "r.git"), testbin.URL(t)
	s := serve(t, []string{url}, "--dir", dir, "--listen", url)
	s.stop()
	git(t, dir, "fetch", "-q", d.work, "conflicts:conflicts")
	s = serve(t, []string{url}, "--dir", dir, "--listen", url)
	if out := run(t, program, "conflicts", "list", "--dir", dir); !strings.Contains(out, "2886f83c00000001") {
		t.Errorf("listed:\n%s", out)
	}
	fails(t, 1, "write --hub", "conflicts", "resolve", "2886", "--dir", dir)
	s.stop()
	run(t, program, "conflicts", "resolve", "2886", "--dir", dir, "--by", "jane")
	if out := run(t, program, "conflicts", "list", "--dir", dir, "-o", "json"); out != "" {
		t.Errorf("still open: %s", out)
	}
	run(t, program, "verify", "--dir", dir)
}

// apiServer is a real kube-apiserver on gitcd; it returns a kubeconfig.
func apiServer(t *testing.T) string {
	t.Helper()
	dir, etcd := t.TempDir(), testbin.URL(t)
	serve(t, []string{etcd}, "--memory", "--listen", etcd)
	server := testbin.StartAPIServer(t, etcd)
	write(t, dir, "kubeconfig", fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: x, cluster: {server: %q, insecure-skip-tls-verify: true}}]\n"+
		"users: [{name: x, user: {token: %s}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\n", server.URL, server.Token))
	return filepath.Join(dir, "kubeconfig")
}

// TestConflictsTakeOther writes the other side's value through a real API server.
func TestConflictsTakeOther(t *testing.T) {
	kubeconfig := apiServer(t)
	t.Setenv("PATH", testbin.Dir(t, "kubectl")+":"+os.Getenv("PATH"))
	kubectl := func(args ...string) string {
		return run(t, "kubectl", append([]string{"--kubeconfig", kubeconfig}, args...)...)
	}
	d := newDisagreement(t)
	for _, name := range []string{"web", "api", "gone"} {
		write(t, d.work, "m.json", deployment(name, 2))
		kubectl("apply", "--server-side", "-f", filepath.Join(d.work, "m.json"))
	}
	if err := os.Remove(filepath.Join(d.work, "m.json")); err != nil {
		t.Fatal(err)
	}
	kubectl("label", "deployment", "web", "kept=yes")
	d.file("web", "0001", d.record("web", ".spec.replicas", deployment("web", 2), deployment("web", 3)))
	d.file("api", "0002", d.record("api", `.spec.template.spec.containers[name="web"].image`, deployment("api", 2), deployment("api", 3)))
	d.file("gone", "0003", d.record("gone", "", deployment("gone", 2), ""))
	d.file("back", "0004", d.record("back", "", deployment("back", 2), deployment("back", 4)))
	for _, id := range []string{"0001", "0002", "0003", "0004"} {
		run(t, program, "conflicts", "resolve", id, "--take-other", "--kubeconfig", kubeconfig, "--dir", d.work, "--by", "jane")
	}
	got := kubectl("get", "deployments", "-o", `jsonpath={range .items[*]}{.metadata.name} {.spec.replicas} {.spec.template.spec.containers[0].image} {.metadata.labels.kept}{"\n"}{end}`)
	if want := "api 2 web:3 \nback 4 web:4 \nweb 3 web:2 yes"; got != want {
		t.Errorf("the cluster has\n%s\nwant\n%s", got, want)
	}

	// What the server refuses is not on record as done.
	d.file("lost", "0005", d.record("lost", ".spec.replicas", deployment("lost", 2), deployment("lost", 3)))
	fails(t, 1, "the object is not there any more", "conflicts", "resolve", "0005", "--take-other", "--kubeconfig", kubeconfig, "--dir", d.work)
	if out := run(t, program, "conflicts", "list", "--dir", d.work); !strings.Contains(out, "0005") {
		t.Errorf("not open any more:\n%s", out)
	}
}
