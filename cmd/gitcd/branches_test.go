// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

func TestMemberIDs(t *testing.T) {
	url := testbin.URL(t)
	dir := filepath.Join(t.TempDir(), "r.git")
	args := []string{"--dir", dir, "--listen", url}
	s := serve(t, []string{url}, append(args, "--name", "etcd-0", "--cluster-id", "cdf818194e3a8c32", "--member-id", "8E9E05C52164694D")...)
	if got := ctl(t, url, "member", "list", "-w", "simple"); !strings.HasPrefix(got, "8e9e05c52164694d, started, etcd-0,") {
		t.Errorf("member list: %s", got)
	}
	if got := ctl(t, url, "endpoint", "status", "-w", "fields"); !strings.Contains(got, `"ClusterID" : 14841639068965178418`) { // cdf818194e3a8c32
		t.Errorf("endpoint status: %s", got)
	}
	s.stop()
	s = serve(t, []string{url}, args...)
	was := ctl(t, url, "member", "list", "-w", "simple")
	s.stop()
	serve(t, []string{url}, args...)
	if got := ctl(t, url, "member", "list", "-w", "simple"); got != was {
		t.Errorf("member list is %s, was %s before a restart", got, was)
	}
	for _, c := range [][]string{{"--cluster-id", "xyz"}, {"--member-id", "0"}} {
		out, err := output(t, program, append([]string{"serve", "--dir", dir, "--listen", url}, c...)...)
		if err == nil || !strings.Contains(out, "write up to 16 hexadecimal digits") {
			t.Errorf("%v: %v %s", c, err, out)
		}
	}
}

// TestTwoBranches serves two branches of one repository from one process.
func TestTwoBranches(t *testing.T) {
	blue, green, status := testbin.URL(t), testbin.URL(t), strings.TrimPrefix(testbin.URL(t), "http://")
	dir := filepath.Join(t.TempDir(), "r.git")
	file := config(t, `repository: %s
statusListen: %s
branches:
- name: main
  listeners: [{url: %q}]
- name: clusters/green
  author: {name: Green, email: green@example.invalid}
  member: {clusterID: "a1"}
  listeners: [{url: %q}]
`, dir, status, blue, green)
	s := serve(t, []string{blue, green}, "--config", file)
	ctl(t, blue, "put", "/a", "blue")
	ctl(t, green, "put", "/a", "green")
	ctl(t, green, "put", "/b", "green too")
	if got := ctl(t, blue, "get", "", "--from-key"); got != "/a\nblue" {
		t.Errorf("blue has %q", got)
	}
	if got := ctl(t, green, "get", "", "--from-key", "-w", "fields"); !strings.Contains(got, `"ClusterID" : 161`) || !strings.Contains(got, `"Revision" : 3`) {
		t.Errorf("green says %s", got)
	}
	if got := run(t, program, "status", "--address", status, "-o", "table"); !strings.Contains(got, "\nmain ") || !strings.Contains(got, "\nclusters/green ") {
		t.Errorf("status: %s", got)
	}
	if got := run(t, program, "status", "--address", status); !strings.Contains(got, `"branch": "clusters/green"`) {
		t.Errorf("status: %s", got)
	}
	s.stop()
	if got := git(t, dir, "log", "--format=%an: %s", "clusters/green"); got != "Green: create /b\nGreen: create /a" {
		t.Errorf("log: %s", got)
	}
	if got := git(t, dir, "ls-tree", "--name-only", "-r", "main"); got != "a" {
		t.Errorf("main has %q", got)
	}
	serve(t, []string{blue, green}, "--config", file)
	if got := ctl(t, green, "get", "/b", "--rev", "3", "--print-value-only"); got != "green too" {
		t.Errorf("after a restart, green has %q", got)
	}
	git(t, dir, "fsck", "--strict")
}

func TestServeNamesFieldAndMend(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"branch: main\nbranches: [{name: a, listeners: [{url: \"unix:///s\"}]}]\n", "branch: does not go with branches: give it a place in branches"},
		{"branches: [{name: a, listeners: [{url: \"unix:///s\"}]}, {name: b, listeners: [{url: \"unix:///s\"}]}]\n", "branches[1].listeners: \"unix:///s\" is served by branches[0] already"},
		{"branches: [{name: a, listeners: [{url: \"unix:///s\"}]}, {name: a, listeners: [{url: \"unix:///t\"}]}]\n", "branches[1].name: \"a\" was given in branches[0] already"},
		{"branch: a\nlisteners: [{url: \"unix:///s\"}]\nkeys: [{prefix: /a, tree: b/}]\n", "keys[0].prefix: is \"/a\"; end it with a slash"},
		{"branch: a\nlisteners: [{url: \"unix:///s\"}]\nkeys: [{prefix: /a/, tree: b/}, {prefix: /a/b/, tree: c/}]\n", "choose prefixes of which none begins another"},
		{"branch: a\nlisteners: [{url: \"unix:///s\"}]\npulls: [{url: \"git@example.org:x.git\"}]\n", "pulls[0].url: is not a URL"},
		{"branch: a\nlisteners: [{url: \"unix:///s\"}]\npulls: [{url: \"https://u:p@example.org/x.git\"}]\n", "pulls[0].url: holds a user; write credentialsFile"},
	} {
		out, err := output(t, program, "serve", "--config", config(t, "repository: /r\n%s", c.text))
		if err == nil || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s\nwant %s", c.text, err, out, c.want)
		}
	}
}
