// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// etcdModule pins etcd's tests.
const etcdModule = "go.etcd.io/etcd/tests/v3"

// etcdTests are the tests of etcd's that are run, less what the file exceptions skips.
var etcdTests = []struct{ pkg, run string }{
	// Most tests of common have cases by cluster; NoTLS is the one with a single member.
	{"common", ".*/^NoTLS$"},
	// What drives etcdctl, etcdutl, curl and the HTTP that lies beside gRPC, and what looks at how etcd serves and logs.
	{"e2e", "^Test(" + strings.Join([]string{
		"CtlV3", "UtlV3", "Curl", "HTTP", "V3Metrics", "NoMetrics", "NoError", "ServerJ", "Connection",
		"Etcd(TLSVersion|AdvertiseClientUnix|UnixPeers|ListenMetrics|DeprecatedFlags)",
		"Watch", "StartWatcher", "DeleteEvent", "Restore", "DefragNo", "Remove",
	}, "|") + ")"},
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
	src, err := goTool(ctx, pins, "list", "-m", "-f", "{{.Dir}}", etcdModule)
	if err != nil {
		return nil, err
	}
	module := filepath.Join(s.out, "etcdtests")
	if err := os.RemoveAll(module); err != nil {
		return nil, err
	}
	// Fixtures, such as certificates, lie beside the packages.
	for _, d := range []string{"fixtures", "common", "e2e"} {
		if err := copyTree(filepath.Join(src, d), filepath.Join(module, d)); err != nil {
			return nil, err
		}
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
