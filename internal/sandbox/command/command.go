// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package command runs other programs and turns their failure into an error
// that shows what was run and what it said.
//
// # Laws
//
//  1. Nothing goes through a shell.
//  2. A failed command's error holds its command line and the end of its stderr.
package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// tail is how much of a failed command's stderr an error shows.
const tail = 2000

// Run runs a program and returns what it wrote to stdout.
func Run(ctx context.Context, argv ...string) (string, error) {
	return RunWith(ctx, Options{}, argv...)
}

// Options change how a program is run. The zero value adds nothing.
type Options struct {
	// Stdin is what the program reads.
	Stdin io.Reader
	// Dir is the directory it runs in.
	Dir string
	// Env is its environment; nil means the caller's.
	Env []string
	// Output also gets what the program writes, as it writes it.
	Output io.Writer
}

// RunWith runs a program with options and returns what it wrote to stdout.
func RunWith(ctx context.Context, o Options, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // running programs is what this package is for
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Dir, cmd.Env = o.Stdin, o.Dir, o.Env
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if o.Output != nil {
		cmd.Stdout = io.MultiWriter(&stdout, o.Output)
		cmd.Stderr = io.MultiWriter(&stderr, o.Output)
	}
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("run %s: %w: %s", strings.Join(argv, " "), err, said(stderr.String(), stdout.String()))
	}
	return stdout.String(), nil
}

// said is the end of what a failed program wrote.
func said(stderr, stdout string) string {
	s := strings.TrimSpace(stderr)
	if s == "" {
		s = strings.TrimSpace(stdout)
	}
	if s == "" {
		return "it said nothing"
	}
	if len(s) > tail {
		s = "..." + s[len(s)-tail:]
	}
	return s
}

// InNetNS prefixes a command line so that it runs in a network namespace. It
// uses nsenter: `ip netns exec` would remount /sys and so hide the cgroup mounts.
func InNetNS(netns string, argv ...string) []string {
	return append([]string{"nsenter", "--net=" + netns}, argv...)
}
