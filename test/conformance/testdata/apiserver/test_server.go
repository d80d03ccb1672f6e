// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package testserver takes the place of k8s.io/apiserver/pkg/storage/etcd3/testserver
// in a copy of that module: same functions, but each RunEtcd starts a process of
// its own, $CONFORMANCE_SERVER with etcd's flags, and durably so: what the tests
// say about fsync is ignored.
//
// $CONFORMANCE_LOG gets what the servers say, $CONFORMANCE_STARTS how many
// microseconds each took to accept connections.
package testserver

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
	"google.golang.org/grpc"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

// startTimeout is how long a server may take on a machine that does much else.
const startTimeout = 60 * time.Second

// NewTestConfig returns a configuration with a directory and ports of its own.
func NewTestConfig(t testing.TB) *embed.Config {
	t.Helper()
	ports, err := freePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	cfg.ListenClientUrls = []url.URL{{Scheme: "http", Host: net.JoinHostPort("localhost", ports[0])}}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	cfg.ListenPeerUrls = []url.URL{{Scheme: "http", Host: net.JoinHostPort("localhost", ports[1])}}
	cfg.AdvertisePeerUrls = cfg.ListenPeerUrls
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	return cfg
}

// freePorts returns ports that nobody listens on.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "localhost:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}

// starting keeps others from taking the ports that were found free.
var starting sync.Mutex

// RunEtcd starts a server, and ends it with the test. It returns a client of it.
func RunEtcd(t testing.TB, cfg *embed.Config) *kubernetes.Client {
	t.Helper()
	starting.Lock()
	defer starting.Unlock()
	if cfg == nil {
		cfg = NewTestConfig(t)
	}
	start(t, cfg)

	tlsConfig, err := cfg.ClientTLSInfo.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.New(clientv3.Config{
		TLS:         tlsConfig,
		Endpoints:   texts(cfg.AdvertiseClientUrls),
		DialTimeout: startTimeout,
		DialOptions: []grpc.DialOption{grpc.WithBlock()},
		Logger:      zaptest.NewLogger(t, zaptest.Level(zapcore.ErrorLevel)).Named("etcd-client"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		if _, err := client.KV.Get(ctx, "ready"); err == nil {
			break
		} else if ctx.Err() != nil {
			t.Fatalf("wait for the server to be ready: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	client.KV = storagetesting.NewKVRecorder(client.KV)
	client.Kubernetes = storagetesting.NewKubernetesRecorder(client.Kubernetes)
	return client
}

// start starts the server and waits until it accepts connections.
func start(t testing.TB, cfg *embed.Config) {
	t.Helper()
	server := os.Getenv("CONFORMANCE_SERVER")
	if server == "" {
		t.Fatal("CONFORMANCE_SERVER does not say which server to test; run this with make conformance")
	}
	cmd := exec.Command(server, flags(cfg)...)
	cmd.Dir = cfg.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if file := os.Getenv("CONFORMANCE_LOG"); file != "" {
		log, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		fmt.Fprintf(log, "=== %s: %s\n", t.Name(), strings.Join(cmd.Args, " "))
		cmd.Stdout, cmd.Stderr = log, log
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		err := cmd.Wait()
		select {
		case <-stopped:
		default:
			t.Errorf("the server ended before its test: %v; see %s", err, os.Getenv("CONFORMANCE_LOG"))
		}
	}()
	t.Cleanup(func() {
		close(stopped)
		cmd.Process.Kill()
		<-ended
	})
	for {
		select {
		case <-ended:
			t.FailNow()
		default:
		}
		conn, err := net.DialTimeout("tcp", cfg.ListenClientUrls[0].Host, time.Second)
		if err == nil {
			conn.Close()
			break
		}
		if time.Since(began) > startTimeout {
			t.Fatalf("wait for the server to listen: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
	note(t, time.Since(began))
}

// flags says in etcd's flags what the configuration asks for.
func flags(cfg *embed.Config) []string {
	args := []string{
		"--name=" + cfg.Name,
		"--data-dir=" + cfg.Dir,
		"--listen-client-urls=" + strings.Join(texts(cfg.ListenClientUrls), ","),
		"--advertise-client-urls=" + strings.Join(texts(cfg.AdvertiseClientUrls), ","),
		"--listen-peer-urls=" + strings.Join(texts(cfg.ListenPeerUrls), ","),
		"--initial-advertise-peer-urls=" + strings.Join(texts(cfg.AdvertisePeerUrls), ","),
		"--initial-cluster=" + cfg.InitialCluster,
		"--log-level=error",
	}
	if d := cfg.WatchProgressNotifyInterval; d != 0 {
		args = append(args, "--watch-progress-notify-interval="+d.String())
	}
	tls := cfg.ClientTLSInfo
	for flag, value := range map[string]string{"--cert-file": tls.CertFile, "--key-file": tls.KeyFile, "--trusted-ca-file": tls.TrustedCAFile} {
		if value != "" {
			args = append(args, flag+"="+value)
		}
	}
	if tls.ClientCertAuth {
		args = append(args, "--client-cert-auth")
	}
	return args
}

func texts(urls []url.URL) []string {
	var out []string
	for _, u := range urls {
		out = append(out, u.String())
	}
	return out
}

// note adds a line with how long a start took.
func note(t testing.TB, took time.Duration) {
	t.Helper()
	file := os.Getenv("CONFORMANCE_STARTS")
	if file == "" {
		return
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, took.Microseconds())
}
