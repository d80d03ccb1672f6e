// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/etcdapi"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

func TestEtcdFlags(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "etcd.yaml")
	text := `
name: filed
quota-backend-bytes: 8589934592
watch-progress-notify-interval: 5000000000
listen-client-urls: http://127.0.0.1:1,http://127.0.0.1:2
client-transport-security:
  client-cert-auth: true
  trusted-ca-file: /ca
peer-transport-security:
  cert-file: /peer
log-outputs: [stderr]
snapshot-count: 10000
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what    string
		args    []string
		environ []string
		want    func(o *etcdOptions) any
		is      any
		warning string // part of the only one
	}{
		{"double dash", []string{"--name=a"}, nil, func(o *etcdOptions) any { return o.name }, "a", ""},
		{"single dash", []string{"-name", "a", "-client-cert-auth", "-enable-grpc-gateway=false"}, nil, func(o *etcdOptions) any { return []any{o.name, o.certAuth, o.gateway} }, []any{"a", true, false}, ""},
		{"defaults", nil, nil, func(o *etcdOptions) any { return []string{o.name, o.dataDir, o.advertiseClient} }, []string{"default", "default.etcd", defaultClientURL}, ""},
		{"environment", nil, []string{"ETCD_NAME=e", "ETCD_QUOTA_BACKEND_BYTES=7", "ETCDCTL_API=3"}, func(o *etcdOptions) any { return []any{o.name, o.quota} }, []any{"e", int64(7)}, ""},
		{"flag before environment", []string{"--name=f"}, []string{"ETCD_NAME=e"}, func(o *etcdOptions) any { return o.name }, "f", ""},
		{"no meaning", []string{"--max-wals=3", "--name=a"}, nil, func(o *etcdOptions) any { return o.name }, "a", "--max-wals has no meaning"},
		{"no meaning, and in each manifest", []string{"--peer-client-cert-auth", "--snapshot-count", "10000", "--name=a"}, nil, func(o *etcdOptions) any { return o.name }, "a", ""},
		{"unknown with value", []string{"--wibble", "3", "--name=a"}, nil, func(o *etcdOptions) any { return o.name }, "a", "--wibble is unknown"},
		{"unknown switch", []string{"--wibble", "--name=a"}, nil, func(o *etcdOptions) any { return o.name }, "a", "--wibble is unknown"},
		{"unknown variable", nil, []string{"ETCD_WIBBLE=1"}, func(o *etcdOptions) any { return o.name }, "default", "ETCD_WIBBLE is unknown"},
		{"given up", []string{"--max-snapshots=10"}, nil, func(o *etcdOptions) any { return o.name }, "default", "deprecated in 3.6"},
		{
			"file, and nothing beside it",
			[]string{"--config-file", file, "--name=flagged"},
			[]string{"ETCD_NAME=e"},
			func(o *etcdOptions) any {
				return []any{o.name, o.quota, o.progressInterval, o.certAuth, o.caFile, o.certFile, o.logOutputs, o.listenClient}
			},
			[]any{"filed", int64(8 << 30), 5 * time.Second, true, "/ca", "", "stderr", "http://127.0.0.1:1,http://127.0.0.1:2"},
			"",
		},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			o, warnings, err := parseEtcd(c.args, c.environ)
			if err != nil {
				t.Fatal(err)
			}
			if have := c.want(o); !reflect.DeepEqual(have, c.is) {
				t.Errorf("have %v, want %v", have, c.is)
			}
			if all := strings.Join(warnings, "; "); (c.warning == "") != (all == "") || !strings.Contains(all, c.warning) {
				t.Errorf("warnings are %q, want %q", all, c.warning)
			}
		})
	}
}

func TestEtcdFlagsThatAreWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"grpc-proxy start", "is no flag"},
		{"--name", "needs a value"},
		{"--quota-backend-bytes=lots", `invalid value "lots" for flag -quota-backend-bytes`},
		{"--initial-cluster-state=old", `invalid value "old" for flag -initial-cluster-state`},
		{"--initial-cluster=a=http://x:1,b=http://y:1", "names 2 members"},
		{"--cert-file=/c", "go together"},
		{"--heartbeat-interval=500", "at least as 5 times"},
		{"--config-file=/does/not/exist", "read configuration"},
	} {
		o, _, err := parseEtcd(strings.Fields(c.args), nil)
		if err == nil {
			err = o.check()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
}

// TestEtcdIDs compares with the ids that etcd 3.7 gives the member http://localhost:2380 of the cluster etcd-cluster.
func TestEtcdIDs(t *testing.T) {
	t.Parallel()
	o, _, err := parseEtcd(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if have := o.memberID(); have != 0x8e9e05c52164694d {
		t.Errorf("member %x", have)
	}
	if have := o.clusterID(); have != 0xcdf818194e3a8c32 {
		t.Errorf("cluster %x", have)
	}
}

func TestCalledEtcd(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{"/usr/local/bin/etcd": true, "etcd": true, "gitcd": false, "/opt/etcd/gitcd": false} {
		if calledEtcd(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}

// TestEtcdEndsWithItsStore has a failed disk end the process, as it ends etcd's: whoever runs it starts it again.
func TestEtcdEndsWithItsStore(t *testing.T) {
	t.Parallel()
	o, _, err := parseEtcd([]string{"--data-dir=" + t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sick := &sickDisk{}
	b, err := branch.Open(t.Context(), sick, t.TempDir(), journal.Options{}, mvcc.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close(t.Context()) }()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- o.serveStore(t.Context(), slog.New(slog.DiscardHandler), b, []etcdapi.Endpoint{{Listener: l}})
	}()
	sick.sick.Store(true)
	if _, err := b.Store.Txn(t.Context(), mvcc.Txn{Then: []mvcc.Op{{Put: &mvcc.Put{Key: "a"}}}}); err == nil {
		t.Fatal("a write was acknowledged that no sync covers")
	}
	select {
	case err := <-ended:
		if !errors.Is(err, mvcc.ErrFailed) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
}

// sickDisk is a disk whose syncs fail from some time on.
type sickDisk struct {
	vfs.OS
	sick atomic.Bool
}

func (d *sickDisk) Open(name string, mode vfs.Mode) (vfs.File, error) {
	f, err := d.OS.Open(name, mode)
	return &sickFile{File: f, disk: d}, err
}

type sickFile struct {
	vfs.File
	disk *sickDisk
}

func (f *sickFile) Sync() error {
	if f.disk.sick.Load() {
		return syscall.EIO
	}
	return f.File.Sync()
}
