// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"path/filepath"
	"time"
)

// etcdModule pins etcd's tests.
const etcdModule = "go.etcd.io/etcd/tests/v3"

// etcdTests are the tests of etcd's that are run, less what the file exceptions skips.
var etcdTests = []struct{ pkg, run string }{
	// Most tests of common have cases by cluster; NoTLS is the one with a single member.
	{"common", ".*/^NoTLS$"},
	// What drives etcdctl, curl and the HTTP that lies beside gRPC.
	{"e2e", "^Test(CtlV3|UtlV3|CurlV3|CurlWatch|HTTP|V3Metrics|ConnectionMultiplexing|EtcdTLSVersion|EtcdAdvertiseClientUnix|TxnRangeConsistency|GracefulShutdown)"},
}

// etcdSuite runs etcd's tests/common and the part of tests/e2e that drives etcdctl
// and curl. They start the etcd of a directory, by its command line, on fixed
// ports: one after the other.
func etcdSuite(ctx context.Context, h house, s server) ([]score, error) {
	pins := filepath.Join(h.root, "test", "conformance", "etcd")
	dir := filepath.Join(h.out, "etcdtests")
	var packages []string
	for _, t := range etcdTests {
		packages = append(packages, etcdModule+"/"+t.pkg)
	}
	if err := compile(ctx, pins, dir, "e2e", packages...); err != nil {
		return nil, err
	}
	// Fixtures, such as certificates, lie beside the packages.
	module, err := goTool(ctx, pins, "list", "-m", "-f", "{{.Dir}}", etcdModule)
	if err != nil {
		return nil, err
	}
	var scores []score
	for _, t := range etcdTests {
		b := binary{
			part: "etcd/" + t.pkg, file: filepath.Join(dir, t.pkg+".test"), dir: filepath.Join(module, t.pkg),
			args:    []string{"-bin-dir=" + s.bin, "-test.run=" + t.run, "-test.skip=" + h.known.skipped("etcd/"+t.pkg)},
			env:     []string{"E2E_TEST_MINIMAL=true"},
			timeout: 10 * time.Minute,
		}
		sc, err := b.run(ctx, h, s.out)
		if err != nil {
			return nil, err
		}
		scores = append(scores, sc)
	}
	return scores, nil
}
