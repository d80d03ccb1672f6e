// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

func runProgram(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), testbin.Path(t, name), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

// gitcd runs a command in this process, and returns what it prints.
func gitcd(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func mustGitcd(t *testing.T, args ...string) string {
	t.Helper()
	out, err := gitcd(t, args...)
	if err != nil {
		t.Fatalf("gitcd %v: %v", args, err)
	}
	return out
}

// etcd starts an etcd on a data directory and returns a client of it.
func etcd(t *testing.T, dir string) (c *clientv3.Client, stop func()) {
	t.Helper()
	client, peer := testbin.URL(t), testbin.URL(t)
	var log bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), testbin.Path(t, "etcd"), "--name", "real", "--data-dir", dir,
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "real="+peer, "--unsafe-no-fsync", "--log-level", "warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Signal(os.Interrupt)
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{client}, DialTimeout: 20 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		if _, err := c.Get(ctx, "up"); err == nil {
			return c, stop
		} else if ctx.Err() != nil {
			t.Fatalf("etcd does not come up: %v\n%s", err, log.String())
		}
	}
}

// write makes a history with leases, deletions and a compaction, and returns the revision and the compacted one.
func write(t *testing.T, c *clientv3.Client) (rev, compacted int64) {
	t.Helper()
	random := rand.New(rand.NewPCG(5, 6))
	ctx := t.Context()
	for id := range int64(3) {
		if _, err := pb.NewLeaseClient(c.ActiveConnection()).LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id + 1, TTL: 5000}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		var ops []clientv3.Op
		used := map[string]bool{}
		for range 1 + random.IntN(4) {
			key := fmt.Sprintf("/registry/things/ns%d/%d", random.IntN(4), random.IntN(8))
			switch {
			case used[key]:
			case random.IntN(4) == 0:
				ops = append(ops, clientv3.OpDelete(key))
			default:
				ops = append(ops, clientv3.OpPut(key, fmt.Sprintf(`{"n":%d}`, i), clientv3.WithLease(clientv3.LeaseID(random.IntN(4)))))
			}
			used[key] = true
		}
		r, err := c.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			t.Fatal(err)
		}
		rev = r.Header.Revision
		if i == 200 {
			compacted = rev
			if _, err := c.Compact(ctx, compacted, clientv3.WithCompactPhysical()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return rev, compacted
}

func kvHash(t *testing.T, c *clientv3.Client, rev int64) string {
	t.Helper()
	r, err := pb.NewMaintenanceClient(c.ActiveConnection()).HashKV(t.Context(), &pb.HashKVRequest{Revision: rev})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%08x of %d..%d at %d", r.Hash, r.CompactRevision, r.HashRevision, r.Header.Revision)
}

// TestThereAndBack takes keys from etcd to gitcd and back, and compares hashes and keys.
func TestThereAndBack(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first.db"), filepath.Join(dir, "second.db")
	repo := filepath.Join(dir, "repo.git")
	source, stop := etcd(t, filepath.Join(dir, "one"))
	rev, compacted := write(t, source)
	runProgram(t, "etcdctl", "--endpoints", source.Endpoints()[0], "snapshot", "save", first)
	revs := []int64{compacted + 1, (compacted + rev) / 2, rev, 0}
	var want []string
	for _, r := range revs {
		want = append(want, kvHash(t, source, r))
	}
	wantKeys := mustGitcd(t, "dump", "--endpoint", source.Endpoints()[0])
	old := mustGitcd(t, "dump", "--endpoint", source.Endpoints()[0], "--revision", fmt.Sprint(compacted+3))
	stop()

	if out := mustGitcd(t, "restore", "--from", first, "--dir", repo); !strings.Contains(out, fmt.Sprintf("revision %d, compacted at %d", rev, compacted)) {
		t.Errorf("restore says %s", out)
	}
	if out, err := exec.CommandContext(t.Context(), "git", "-C", repo, "fsck", "--strict").CombinedOutput(); err != nil {
		t.Errorf("fsck: %v\n%s", err, out)
	}
	if have := mustGitcd(t, "dump", "--dir", repo); have != wantKeys || len(have) == 0 {
		t.Errorf("keys differ:\n%s\nwant\n%s", have, wantKeys)
	}
	if have := mustGitcd(t, "dump", "--dir", repo, "--revision", fmt.Sprint(compacted+3)); have != old {
		t.Errorf("keys at %d differ:\n%s\nwant\n%s", compacted+3, have, old)
	}
	mustGitcd(t, "dump", "--dir", repo, "-o", "snapshot", "--to", second)
	back := filepath.Join(dir, "two")
	runProgram(t, "etcdutl", "snapshot", "restore", second, "--name", "real", "--data-dir", back,
		"--initial-cluster", "real=http://127.0.0.1:1", "--initial-advertise-peer-urls", "http://127.0.0.1:1")
	again, stopAgain := etcd(t, back)
	for i, r := range revs {
		if have := kvHash(t, again, r); have != want[i] {
			t.Errorf("hash at %d: %s, want %s", r, have, want[i])
		}
	}
	leases, err := again.Leases(t.Context())
	if err != nil || len(leases.Leases) != 3 {
		t.Errorf("leases %+v, %v", leases, err)
	}
	if have := mustGitcd(t, "dump", "--endpoint", again.Endpoints()[0]); have != wantKeys {
		t.Errorf("keys differ after the way back:\n%s", have)
	}
	stopAgain()

	// The database itself, of an etcd that has stopped.
	db := filepath.Join(back, "member", "snap", "db")
	if _, err := gitcd(t, "restore", "--from", db, "--dir", repo+"2"); !errors.Is(err, snapshot.ErrNoSum) {
		t.Errorf("restore without a checksum: %v", err)
	}
	mustGitcd(t, "restore", "--from", db, "--dir", repo+"2", "--skip-hash-check")
	if have := mustGitcd(t, "dump", "--dir", repo+"2"); have != wantKeys {
		t.Errorf("keys of the database differ:\n%s", have)
	}
}

// TestRestoreBumps raises the revision, refuses what is not empty, and names what is damaged.
func TestRestoreBumps(t *testing.T) {
	dir := t.TempDir()
	file, repo := filepath.Join(dir, "s.db"), filepath.Join(dir, "repo.git")
	source, stop := etcd(t, filepath.Join(dir, "one"))
	rev, _ := write(t, source)
	mustGitcd(t, "dump", "--endpoint", source.Endpoints()[0], "-o", "snapshot", "--to", file)
	stop()
	out := mustGitcd(t, "restore", "--from", file, "--dir", repo, "--branch", "heavens/x", "--bump-revision", "1000000", "--mark-compacted")
	if !strings.Contains(out, fmt.Sprintf("branch heavens/x at revision %d, compacted at %d", rev+1_000_000, rev+1_000_000)) {
		t.Errorf("restore says %s", out)
	}
	var usage *usageError
	for what, args := range map[string][]string{
		"into what is there":   {"restore", "--from", file, "--dir", repo},
		"bump without mark":    {"restore", "--from", file, "--dir", repo + "2", "--bump-revision", "1"},
		"from nothing":         {"restore", "--dir", repo + "2"},
		"dump of two":          {"dump", "--dir", repo, "--endpoint", "http://x"},
		"snapshot to terminal": {"dump", "--dir", repo, "-o", "snapshot"},
	} {
		if _, err := gitcd(t, args...); !errors.As(err, &usage) {
			t.Errorf("%s: %v", what, err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = gitcd(t, "restore", "--from", file, "--dir", repo+"2")
	if exitCode(err) != exitCorrupt {
		t.Errorf("restore of a damaged snapshot: %v", err)
	}
	if _, err := os.Stat(repo + "2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left something: %v", err)
	}
}

// TestDumpForms writes one small repository in every form.
func TestDumpForms(t *testing.T) {
	dir := t.TempDir()
	file, repo := filepath.Join(dir, "s.db"), filepath.Join(dir, "repo.git")
	source, stop := etcd(t, filepath.Join(dir, "one"))
	for _, kv := range []string{"/a=1", `/a/b={"x":1}`, "/a/c=\xff", "z=2"} {
		key, value, _ := strings.Cut(kv, "=")
		if _, err := source.Put(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	mustGitcd(t, "dump", "--endpoint", source.Endpoints()[0], "-o", "snapshot", "--to", file)
	stop()
	mustGitcd(t, "restore", "--from", file, "--dir", repo)
	for form, want := range map[string]string{
		"json": `{"key":"/a","createRevision":2,"modRevision":2,"version":1,"text":"1"}
{"key":"/a/b","createRevision":3,"modRevision":3,"version":1,"value":{"x":1}}
{"key":"/a/c","createRevision":4,"modRevision":4,"version":1,"base64":"/w=="}
{"key":"z","createRevision":5,"modRevision":5,"version":1,"text":"2"}
`,
		"keys": "/a\n/a/b\n/a/c\nz\n",
		"tree": "/\n  a\n  a/\n    b\n    c\nz\n",
		"yaml": "---\ncreateRevision: 2\nkey: /a\nmodRevision: 2\ntext: \"1\"\nversion: 1\n---\n",
	} {
		if have := mustGitcd(t, "dump", "--dir", repo, "-o", form); !strings.HasPrefix(have, want) {
			t.Errorf("%s:\n%s\nwant\n%s", form, have, want)
		}
	}
	if have := mustGitcd(t, "dump", "--dir", repo, "--prefix", "/a/", "-o", "keys", "--commit", "main"); have != "/a/b\n/a/c\n" {
		t.Errorf("of a commit:\n%s", have)
	}
	mustGitcd(t, "dump", "--dir", repo, "--to", filepath.Join(dir, "files"))
	for name, want := range map[string]string{"a/%": "1", "a/b": "{\n \"x\": 1\n}", "%-/z": "2"} {
		if have, err := os.ReadFile(filepath.Join(dir, "files", name)); err != nil || string(have) != want {
			t.Errorf("file %s: %q, %v", name, have, err)
		}
	}
}
