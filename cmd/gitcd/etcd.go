// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/snapshot"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// etcdName is the name under which gitcd takes etcd's command line.
const etcdName = "etcd"

// smallest is what an etcd without keys takes: etcdctl divides by it.
const smallest = 20 << 10

// repositoryDir is where, in etcd's data directory, the repository is.
const repositoryDir = "repository.git"

func etcdCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "etcd [etcd's flags]",
		Short: "Serve in place of etcd, with etcd's command line",
		Long: `Serve in place of etcd, with etcd's command line, its environment (ETCD_NAME and
so on) and its configuration file. A gitcd that is called etcd does this by
itself: put it where etcd was.

The keys are in the Git repository ` + repositoryDir + ` of the data directory, on the branch main.
Flags that have no meaning for a single member are accepted; unknown ones are
named in a warning.`,
		Example: `  gitcd etcd --data-dir /var/lib/gitcd --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
  ln -s gitcd /usr/local/bin/etcd && etcd --name default`,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runEtcd(cmd.Context(), cmd, args)
		},
	}
}

// calledEtcd says whether the program was called by etcd's name.
func calledEtcd(program string) bool {
	return strings.TrimSuffix(filepath.Base(program), ".exe") == etcdName
}

func runEtcd(ctx context.Context, cmd *cobra.Command, args []string) error {
	o, warnings, err := parseEtcd(args, os.Environ())
	if err != nil {
		return &usageError{err}
	}
	switch {
	case o.help:
		fmt.Fprint(cmd.OutOrStdout(), etcdUsage())
		return nil
	case o.version:
		fmt.Fprintf(cmd.OutOrStdout(), "etcd Version: %s\nGit SHA: gitcd %s\nGo Version: %s\nGo OS/Arch: %s/%s\n",
			etcdapi.Version, version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return nil
	}
	log, closeLog, err := etcdLogger(o)
	if err != nil {
		return &usageError{err}
	}
	defer closeLog()
	for _, w := range warnings {
		log.Warn(w)
	}
	err = serveEtcd(ctx, o, log)
	if err != nil {
		log.Error("etcd failed", "error", err.Error())
	}
	return err
}

// serveEtcd serves until the context ends.
func serveEtcd(ctx context.Context, o *etcdOptions, log *slog.Logger) error {
	if err := o.check(); err != nil {
		return &usageError{err}
	}
	endpoints, err := o.listen(ctx, log)
	if err != nil {
		return err
	}
	err = serveEtcdOn(ctx, o, log, endpoints)
	for _, e := range endpoints {
		_ = e.Listener.Close() // it is closed already if it was served
	}
	return err
}

func serveEtcdOn(ctx context.Context, o *etcdOptions, log *slog.Logger, endpoints []etcdapi.Endpoint) error {
	dir := filepath.Join(o.dataDir, repositoryDir)
	if err := o.adopt(ctx, log, dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	compact, err := mvcc.ParseAutoCompact(o.compactionMode, o.compactionRetain)
	if err != nil {
		return &usageError{err}
	}
	b, err := branch.Open(ctx, vfs.OS{}, dir, journal.Options{NoSync: o.unsafeNoFsync}, mvcc.Options{
		Author: mvcc.Identity{Name: o.name, Email: o.name + "@gitcd.invalid"}, MinLeaseTTL: o.minLeaseTTL(),
		Quota: o.quota, AutoCompact: compact,
	})
	if err != nil {
		return err
	}
	err = o.serveStore(ctx, log, b, endpoints)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	return errors.Join(err, b.Close(last))
}

func (o *etcdOptions) serveStore(ctx context.Context, log *slog.Logger, b *branch.Branch, endpoints []etcdapi.Endpoint) error {
	options := o.serverOptions()
	spool, err := snapshot.OpenSpool(filepath.Join(o.dataDir, "snapshots"))
	if err != nil {
		return err
	}
	size := func() int64 { return max(b.Store.HeldBytes(), smallest) } // what the quota is about
	options.DBSize, options.Upkeep = size, etcdapi.Upkeep{Spool: spool, Quota: o.quota, InUse: size, Repack: b.Repack}
	server := etcdapi.NewServer(b.Store, options)
	front, err := etcdapi.NewFront(server, etcdapi.FrontOptions{
		Log: log, MaxStreams: o.maxStreams(), Slow: o.slow, Extensive: o.metrics == "extensive", Profiling: o.pprof,
		NoGateway: !o.gateway, Hosts: o.hosts, AnyOrigin: o.cors != "", Collectors: slices.Concat(openFiles(), historyCollectors(b.Journal), []prometheus.Collector{repositorySize(filepath.Join(o.dataDir, repositoryDir))}),
	})
	if err != nil {
		return err
	}
	log.Info("ready to serve client requests", "name", o.name, "data-dir", o.dataDir, "revision", b.Store.Revision())
	for _, e := range endpoints {
		log.Info("serving client traffic", "address", e.Listener.Addr().String(), "secure", e.TLS != nil)
	}
	group, serving := errgroup.WithContext(ctx)
	serving, stop := context.WithCancel(serving)
	group.Go(func() error { return failure(serving, b.Store) })
	group.Go(func() error {
		(&upkeep{log: log, j: b.Journal, stores: []*mvcc.Store{b.Store}}).run(serving)
		return nil
	})
	group.Go(func() error {
		defer stop()
		return front.Run(serving, endpoints)
	})
	err = group.Wait()
	log.Info("closing etcd server", "name", o.name, "data-dir", o.dataDir)
	return err
}

// repositorySize is what the history takes, beside what clients can still read of it.
func repositorySize(dir string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gitcd_repository_bytes", Help: "Bytes that the repository takes on disk, about."},
		func() float64 { return float64(bytesBelow(dir)) })
}

// bytesBelow returns how many bytes the files below a directory have, about.
func bytesBelow(dir string) (total int64) {
	walk := func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // a file that has just been removed takes no space
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	}
	if err := filepath.WalkDir(dir, walk); err != nil {
		return 0
	}
	return total
}
