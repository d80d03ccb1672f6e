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
	if err := compile(ctx, h.root, h.out, "", "./test/conformance/clients"); err != nil {
		return nil, err
	}
	sc, err := binary{
		part: "clients", file: filepath.Join(h.out, "clients.test"), dir: h.out,
		env: []string{"CONFORMANCE_SERVER=" + s.etcd()}, timeout: 5 * time.Minute,
	}.run(ctx, h, s.out)
	return []score{sc}, err
}
