// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"time"
)

// kubernetes runs one of Kubernetes' integration tests: a whole kube-apiserver
// that serves objects by all their groups and versions, which clients list, watch
// and write, and which finds its etcd by name and by a Unix socket. The others of
// its package read files that the module does not have.
func kubernetes(ctx context.Context, h house, s server) ([]score, error) {
	const pkg = "k8s.io/kubernetes/test/integration/etcd"
	pins := filepath.Join(h.root, "build", "kubernetes")
	out := filepath.Join(h.out, "kubernetes")
	if err := compile(ctx, pins, out, "", pkg); err != nil {
		return nil, err
	}
	dir, err := goTool(ctx, pins, "list", "-f", "{{.Dir}}", pkg)
	if err != nil {
		return nil, err
	}
	sc, err := binary{
		part: "kubernetes", file: filepath.Join(out, "etcd.test"), dir: dir,
		args: []string{"-test.run=^TestCrossGroupStorage$"},
		// The first etcd in PATH is started, unless one listens at this URL.
		env:     []string{"PATH=" + s.bin + string(filepath.ListSeparator) + os.Getenv("PATH"), "KUBE_INTEGRATION_ETCD_URL=http://127.0.0.1:1"},
		timeout: 5 * time.Minute,
	}.run(ctx, h, s.out)
	return []score{sc}, err
}
