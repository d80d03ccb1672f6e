// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestQuarantineUsage(t *testing.T) {
	t.Parallel()
	hub := []string{"--hub", "https://127.0.0.1:1", "--ca", "/nowhere/ca", "--cert", "/nowhere/crt", "--key", "/nowhere/key"}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"list", 2, "write --config, or --hub"},
		{"list -o yaml", 2, "write table or json"},
		{"list --hub http://h --ca a --cert b --key c", 2, "write a URL such as https://hub:8443"},
		{"show nodes/a", 2, "accepts 2 arg(s)"},
		{"approve nodes/a", 2, "name a branch, and keys or --all"},
		{"reject nodes/a /k --all", 2, "name a branch, and keys or --all"},
		{"list " + strings.Join(hub, " "), 1, "/nowhere/"},
	} {
		out, err := output(t, program, append([]string{"quarantine"}, strings.Fields(c.args)...)...)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != c.code || !strings.Contains(out, c.says) {
			t.Errorf("gitcd quarantine %s: %v: %s\nwant %d and %q", c.args, err, out, c.code, c.says)
		}
	}
	for _, name := range []string{"", "list", "show", "approve", "reject"} {
		if out := run(t, program, strings.Fields("quarantine "+name+" --help")...); !strings.Contains(out, "Examples:") {
			t.Errorf("help of %q has no examples: %s", name, out)
		}
	}
}
