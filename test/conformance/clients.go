// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"
	"time"
)

// clients runs test/conformance/clients: what etcd's client builds on the API.
func clients(ctx context.Context, h house, s server) ([]score, error) {
	file := filepath.Join(h.out, "clients.test")
	if _, err := goTool(ctx, h.root, "test", "-c", "-vet=off", "-o", file, "./test/conformance/clients"); err != nil {
		return nil, err
	}
	sc, err := binary{
		part: "clients", file: file, dir: h.out,
		env: []string{"CONFORMANCE_SERVER=" + s.etcd()}, timeout: 5 * time.Minute,
	}.run(ctx, h, s.out)
	return []score{sc}, err
}
