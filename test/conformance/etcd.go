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

// etcdTests are the tests of etcd's that need one member only, and neither
// users nor roles.
var etcdTests = []struct{ pkg, run, skip string }{
	// Most tests of common have cases by cluster; NoTLS is the one with a single member. Those that are skipped
	// have no such case: nothing of them would run.
	{
		pkg: "common", run: ".*/^NoTLS$",
		skip: "Auth|User|Role|^TestCompact$|^TestVerifyHashKVAfter(Compact|TwoCompactsOnTombstone|CompactOnLastTombstone)$|^TestKVGetNoQuorum$|^TestMember(Add|Remove)$",
	},
	// What drives etcdctl, curl and the HTTP that lies beside gRPC.
	{
		pkg: "e2e", run: "^Test(CtlV3|UtlV3|CurlV3|CurlWatch|HTTP|V3Metrics|ConnectionMultiplexing|EtcdTLSVersion|EtcdAdvertiseClientUnix|TxnRangeConsistency|GracefulShutdown)",
		skip: "Auth|User|Role|Cluster|Downgrade|MoveLeader|Moveleader|Corrupt|Learner|MemberAdd|MemberUpdate|Consistent|SerializableRead|LinearizableRead",
	},
}

// etcdSuite runs etcd's tests/common and the part of tests/e2e that drives etcdctl
// and curl. They start the etcd of a directory, by its command line, on fixed
// ports: one after the other.
func etcdSuite(ctx context.Context, h house, s server) ([]score, error) {
	pins := filepath.Join(h.root, "test", "conformance", "etcd")
	dir := filepath.Join(h.out, "etcdtests")
	args := []string{"test", "-c", "-vet=off", "-tags", "e2e", "-o", dir + string(filepath.Separator)}
	for _, t := range etcdTests {
		args = append(args, etcdModule+"/"+t.pkg)
	}
	if _, err := goTool(ctx, pins, args...); err != nil {
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
			args:    []string{"-bin-dir=" + s.bin, "-test.run=" + t.run, "-test.skip=" + t.skip},
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
