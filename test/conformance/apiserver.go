// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// apiserverPackages are the packages of k8s.io/apiserver whose tests start etcd.
// The longest come first: two run at a time.
var apiserverPackages = []string{
	"pkg/storage/cacher",
	"pkg/storage/etcd3",
	"pkg/registry/generic/registry",
	"pkg/storage/storagebackend/factory",
}

// atOnce is how many of kube-apiserver's test binaries run at a time. They wait
// more than they work.
const atOnce = 2

// apiserver runs kube-apiserver's own tests of its storage. All get their etcd
// from one function, so a copy of the module has another one in its place; the
// rest of the module, and the versions that its go.mod pins, are as published.
func apiserver(ctx context.Context, h house, s server) ([]score, error) {
	dir := filepath.Join(h.out, "apiserver")
	module := filepath.Join(dir, "module")
	if err := copyAPIServer(ctx, h, module); err != nil {
		return nil, err
	}
	var packages []string
	for _, p := range apiserverPackages {
		packages = append(packages, "./"+p)
	}
	if err := compile(ctx, module, dir, "", packages...); err != nil {
		return nil, err
	}
	starts := filepath.Join(s.out, "apiserver-starts")
	if err := os.RemoveAll(starts); err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	scores := make([]score, len(apiserverPackages))
	for i, p := range apiserverPackages {
		name := path.Base(p)
		log := filepath.Join(s.out, "apiserver-"+name+"-servers.log")
		if err := os.RemoveAll(log); err != nil {
			return nil, err
		}
		b := binary{
			part: "apiserver/" + name, file: filepath.Join(dir, name+".test"), dir: filepath.Join(module, p),
			env:     []string{"CONFORMANCE_SERVER=" + s.etcd(), "CONFORMANCE_STARTS=" + starts, "CONFORMANCE_LOG=" + log},
			timeout: 15 * time.Minute,
		}
		group.Go(func() (err error) {
			scores[i], err = b.run(ctx, h, s.out)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	note, err := startTimes(starts)
	scores[0].note = note
	return scores, err
}

// copyAPIServer copies the version of k8s.io/apiserver that this project uses
// out of the module cache, with our file in place of the one that starts etcd.
func copyAPIServer(ctx context.Context, h house, to string) error {
	found, err := goTool(ctx, h.root, "list", "-m", "-f", "{{.Path}}@{{.Version}}", "k8s.io/apiserver")
	if err != nil {
		return err
	}
	from, err := goTool(ctx, h.root, "mod", "download", "-json", found)
	if err != nil {
		return err
	}
	src, err := downloaded(from)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := copyTree(src, to); err != nil {
		return fmt.Errorf("copy %s: %w", found, err)
	}
	ours, err := os.ReadFile(filepath.Join(h.root, "test", "conformance", "testdata", "apiserver", "test_server.go"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(to, "pkg", "storage", "etcd3", "testserver", "test_server.go"), ours, 0o644)
}

// startTimes says how long servers took until they accepted connections.
func startTimes(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var took []time.Duration
	for f := range strings.FieldsSeq(string(data)) {
		us, err := strconv.Atoi(f)
		if err != nil {
			return "", fmt.Errorf("read %s: %w", file, err)
		}
		took = append(took, time.Duration(us)*time.Microsecond)
	}
	slices.Sort(took)
	return fmt.Sprintf("%d servers started, median %s, slowest %s", len(took),
		took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond)), nil
}
