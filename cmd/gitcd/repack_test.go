// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// TestRepack asks a running gitcd to repack, is refused its directory, and
// repacks it when it has ended.
func TestRepack(t *testing.T) {
	t.Parallel()
	dir, url := filepath.Join(t.TempDir(), "r.git"), testbin.URL(t)
	s := serve(t, []string{url}, "--dir", dir, "--listen", url)
	for i := range 30 {
		ctl(t, url, "put", "/registry/leases/n"+strconv.Itoa(i%3), strings.Repeat(strconv.Itoa(i), 100))
	}
	ctl(t, url, "defrag")
	if out, err := output(t, program, "repack", "--dir", dir); err == nil || !strings.Contains(out, "etcdctl defrag") {
		t.Errorf("while it is served: %v, %s", err, out)
	}
	s.stop()
	before := git(t, dir, "rev-parse", "main")
	var said struct{ Packs, IntoPacks int }
	for _, flags := range [][]string{{"--dry-run", "-o", "json"}, {"-o", "json"}} {
		out := run(t, program, append([]string{"repack", "--dir", dir}, flags...)...)
		if err := json.Unmarshal([]byte(out), &said); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
	if out := run(t, program, "repack", "--dir", dir, "--retention", "1d"); !strings.Contains(out, "0 days before") {
		t.Errorf("a day of it: %s", out)
	}
	if out := run(t, program, "repack", "--dir", dir); !strings.Contains(out, "nothing to fold") {
		t.Errorf("once more: %s", out)
	}
	run(t, program, "verify", "--dir", dir)
	git(t, dir, "fsck", "--strict")
	if after := git(t, dir, "rev-parse", "main"); after != before {
		t.Errorf("main is %s, was %s", after, before)
	}
	for _, wrong := range [][]string{{"repack"}, {"repack", "--dir", dir, "-o", "yaml"}, {"repack", "--dir", dir, "--retention", "week"}} {
		if out, err := output(t, program, wrong...); err == nil || err.Error() != "exit status 2" {
			t.Errorf("%q: %v, %s", wrong, err, out)
		}
	}
	if out, err := output(t, program, "repack", "--dir", filepath.Join(dir, "nowhere")); err == nil || err.Error() != "exit status 1" {
		t.Errorf("a directory that is not there: %v, %s", err, out)
	}
}
