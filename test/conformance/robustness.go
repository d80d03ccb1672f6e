// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// robustness runs test/robustness: etcd's traffic and validators, on a server
// that is killed and paused. It is a module of its own, for its versions.
func robustness(ctx context.Context, h house, s server) ([]score, error) {
	src := filepath.Join(h.root, "test", "robustness")
	if err := compile(ctx, src, h.out, "", "."); err != nil {
		return nil, err
	}
	timeout := 15 * time.Minute
	if os.Getenv("ROBUSTNESS_ROUNDS") != "" {
		timeout = 12 * time.Hour
	}
	sc, err := binary{
		part: "robustness", file: filepath.Join(h.out, "robustness.test"), dir: src,
		env:     []string{"ROBUSTNESS_ETCD=" + s.etcd(), "ROBUSTNESS_OUT=" + filepath.Join(s.out, "robustness")},
		timeout: timeout,
	}.run(ctx, h, s.out)
	return []score{sc}, err
}
