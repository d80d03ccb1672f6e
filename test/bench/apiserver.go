// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// apiServer is a kube-apiserver on a store.
type apiServer struct {
	cmd    *exec.Cmd
	log    string
	client *kubernetes.Clientset
}

// readyPatience is how long kube-apiserver may take to be ready.
const readyPatience = 2 * time.Minute

// startAPIServer starts a kube-apiserver, and waits until it is ready. No media
// type is kube-apiserver's default, protobuf.
func (b *bench) startAPIServer(ctx context.Context, s *server, mediaType string) (*apiServer, error) {
	dir := filepath.Join(s.dir, "kube-apiserver")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("start kube-apiserver: %w", err)
	}
	key, err := signingKey()
	if err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{"sa.key": key, "tokens": []byte("secret,admin,admin,system:masters\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return nil, fmt.Errorf("start kube-apiserver: %w", err)
		}
	}
	addr := freeAddr()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("start kube-apiserver: %w", err)
	}
	args := []string{
		"--etcd-servers=http://" + s.endpoint, "--bind-address=127.0.0.1", "--secure-port=" + port, "--cert-dir=" + filepath.Join(dir, "certs"),
		"--token-auth-file=" + filepath.Join(dir, "tokens"), "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + filepath.Join(dir, "sa.key"), "--service-account-signing-key-file=" + filepath.Join(dir, "sa.key"),
		"--service-cluster-ip-range=10.0.0.0/24", "--disable-admission-plugins=ServiceAccount",
	}
	if mediaType != "" {
		args = append(args, "--storage-media-type="+mediaType)
	}
	a := &apiServer{log: filepath.Join(dir, "log")}
	log, err := os.Create(a.log)
	if err != nil {
		return nil, fmt.Errorf("start kube-apiserver: %w", err)
	}
	defer func() { _ = log.Close() }()
	a.cmd = exec.Command(filepath.Join(b.bin, "kube-apiserver"), args...)
	a.cmd.Stdout, a.cmd.Stderr = log, log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := a.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start kube-apiserver: %w; run make build-test", err)
	}
	if err := a.connect(ctx, addr); err != nil {
		return nil, errors.Join(err, a.kill())
	}
	return a, nil
}

func signingKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func (a *apiServer) connect(ctx context.Context, addr string) error {
	var err error
	a.client, err = kubernetes.NewForConfig(&rest.Config{
		Host: "https://" + addr, BearerToken: "secret", QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		ContentConfig:   rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf"},
	})
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	for {
		err := a.client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("kube-apiserver is not ready after %s: %w; its log is %s", readyPatience, err, a.log)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// profile asks kube-apiserver for its CPU profile.
func (a *apiServer) profile(ctx context.Context) func(seconds int) ([]byte, error) {
	return func(seconds int) ([]byte, error) {
		return a.client.RESTClient().Get().AbsPath("/debug/pprof/profile").Param("seconds", strconv.Itoa(seconds)).DoRaw(ctx)
	}
}

func (a *apiServer) kill() error {
	if err := a.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill kube-apiserver: %w", err)
	}
	_ = a.cmd.Wait() // that it was killed is no news
	return nil
}
