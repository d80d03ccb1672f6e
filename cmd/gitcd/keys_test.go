// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// TestKeyPrefix serves keys from a directory of a tree that holds others, too.
func TestKeyPrefix(t *testing.T) {
	blue, green := testbin.URL(t), testbin.URL(t)
	dir := filepath.Join(t.TempDir(), "r.git")
	s := serve(t, []string{green}, "--dir", dir, "--listen", green, "--branch", "state", "--key-prefix", "/=clusters/green/")
	ctl(t, green, "put", "/a", "green")
	s.stop()
	args := []string{"--dir", dir, "--listen", blue, "--branch", "state", "--key-prefix", "/registry/=clusters/blue/"}
	s = serve(t, []string{blue}, args...)
	if got := ctl(t, blue, "get", "", "--from-key"); got != "" {
		t.Errorf("blue begins with %q", got)
	}
	ctl(t, blue, "put", "/registry/a", "1")
	ctl(t, blue, "put", "/registry/a/b", "2")
	ctl(t, blue, "put", "/registry/c", "3")
	ctl(t, blue, "put", "compact_rev_key", "0") // of grain Local: it needs no place
	out, err := output(t, testbin.Path(t, "etcdctl"), "--endpoints", blue, "put", "/other", "x")
	if err == nil || !strings.Contains(out, "begins with no prefix that is served here") || !strings.Contains(out, "clusters/blue/") {
		t.Errorf("a key outside: %v %s", err, out)
	}
	if got := ctl(t, blue, "get", "/registry/a", "/registry/b", "--keys-only"); got != "/registry/a\n\n/registry/a/b\n" {
		t.Errorf("a range gives %q", got)
	}
	if got := ctl(t, blue, "get", "/registry/a/", "--from-key", "--print-value-only"); got != "2\n3\n0" {
		t.Errorf("from a key on: %q", got)
	}
	if got := ctl(t, blue, "del", "/registry/", "--prefix", "--prev-kv"); !strings.HasPrefix(got, "3\n") {
		t.Errorf("deleted %q", got)
	}
	ctl(t, blue, "put", "/registry/last", "4")
	s.stop()
	if got := git(t, dir, "ls-tree", "-r", "--name-only", "state"); got != "clusters/blue/last\nclusters/green/a" {
		t.Errorf("the tree has %q", got)
	}
	serve(t, []string{blue}, args...)
	if got := ctl(t, blue, "get", "", "--from-key", "--keys-only"); got != "/registry/last\n\ncompact_rev_key\n" {
		t.Errorf("after a restart: %q", got)
	}
}
