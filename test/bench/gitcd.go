// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// gitcdStatus is what this program reads of gitcd's /status.
type gitcdStatus struct {
	Store struct {
		Revision    int64 `json:"revision"`
		Uncommitted int64 `json:"uncommitted"`
	} `json:"store"`
}

func (s *server) gitcdStatus(ctx context.Context) (gitcdStatus, error) {
	var st gitcdStatus
	body, err := s.fetch(ctx, "/status")
	if err != nil {
		return st, err
	}
	if err := json.Unmarshal(body, &st); err != nil {
		return st, fmt.Errorf("read status: %w", err)
	}
	return st, nil
}

// profiling collects a CPU profile of gitcd for some time of a phase, and
// returns what waits for its end. It does nothing unless profiles are asked for.
func (b *bench) profiling(ctx context.Context, s *server, id string, length time.Duration) (stop func()) {
	if s.status == "" {
		return func() {}
	}
	return b.collect(id, length, func(seconds int) ([]byte, error) {
		return s.fetch(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", seconds))
	})
}

// collect keeps the CPU profile that a program gives of its next seconds.
func (b *bench) collect(id string, length time.Duration, fetch func(seconds int) ([]byte, error)) (stop func()) {
	if !b.profile {
		return func() {}
	}
	name := b.path(strings.TrimSuffix(id, ".") + ".pprof")
	done := make(chan error, 1)
	go func() {
		data, err := fetch(max(1, int(length/time.Second)))
		if err == nil {
			err = os.WriteFile(name, data, 0o600)
		}
		done <- err
	}()
	return func() {
		if err := <-done; err != nil {
			b.say("no profile: %v", err)
			return
		}
		b.profiles[id] = name
	}
}

// top returns the functions that a profile says take the most time.
func top(ctx context.Context, profile, sort string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", sort, "-nodecount=15", profile).Output()
	if err != nil {
		return "", fmt.Errorf("read profile %s: %w", profile, err)
	}
	return string(out), nil
}
