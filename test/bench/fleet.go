// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// fleet is a hub and its heavens, each a process with a repository of its own
// on the disk that is measured.
type fleet struct {
	bin, dir string
	ca       *authority
	addr     string // of the hub
	hub      *server
	heavens  []*server
}

// newFleet starts a hub.
func newFleet(ctx context.Context, b *bench) (*fleet, error) {
	dir, err := os.MkdirTemp(b.dir, "fleet-")
	if err != nil {
		return nil, fmt.Errorf("make a fleet's directory: %w", err)
	}
	f := &fleet{bin: filepath.Join(b.bin, gitcd), dir: dir, addr: freeAddr()}
	if f.ca, err = newAuthority(dir); err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "hub")
	config, err := f.configure(home, "hub", func(id identity) string {
		return fmt.Sprintf("hub: {listen: %q, tls: {certFile: %q, keyFile: %q, clientCAFile: %q}}\n", f.addr, id.cert, id.key, f.ca.file())
	})
	if err != nil {
		return nil, err
	}
	f.hub = &server{name: gitcd, dir: home, status: freeAddr()}
	if err := f.run(f.hub, "hub", "--config", config); err != nil {
		return nil, err
	}
	for {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", f.addr)
		if err == nil {
			return f, conn.Close()
		}
		if ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("start the hub: %w; its log ends: %s", err, f.hub.logTail()), f.stop())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// configure writes a configuration file with a certificate of its own.
func (f *fleet) configure(home, branch string, rest func(identity) string) (string, error) {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return "", fmt.Errorf("make a directory: %w", err)
	}
	id, err := f.ca.issue(home, branch)
	if err != nil {
		return "", err
	}
	file := filepath.Join(home, "config.yaml")
	text := fmt.Sprintf("apiVersion: gitcd.trishanku.org/v1alpha1\nkind: Config\nrepository: %q\nlogging: {level: warn}\n", filepath.Join(home, "repository.git")) + rest(id)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write a configuration: %w", err)
	}
	return file, nil
}

// run starts gitcd in the background.
func (f *fleet) run(s *server, args ...string) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start gitcd: %w", err)
	}
	defer func() { _ = log.Close() }()
	s.cmd = exec.Command(f.bin, args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	s.cmd.Env = append(os.Environ(), "GITCD_PPROF=1")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start gitcd: %w", err)
	}
	s.pid, s.disk = s.cmd.Process.Pid, diskOf(s.dir)
	return nil
}

// join starts a heaven. The first one makes main.
func (f *fleet) join(ctx context.Context, branch string) error {
	s := &server{name: gitcd, dir: filepath.Join(f.dir, strings.ReplaceAll(branch, "/", "-")), endpoint: freeAddr(), status: freeAddr()}
	config, err := f.configure(s.dir, branch, func(id identity) string {
		text := fmt.Sprintf("branch: %s\nauthor: {name: %s, email: bench@example.org}\nlisteners: [{url: \"http://%s\"}]\nstatusListen: %q\n", branch, branch, s.endpoint, s.status)
		text += fmt.Sprintf("upstream: {url: \"https://%s\", caFile: %q, certFile: %q, keyFile: %q}\n", f.addr, f.ca.file(), id.cert, id.key)
		if len(f.heavens) == 0 {
			text += fmt.Sprintf("genesis: {readyURL: \"http://%s/readyz\"}\n", s.status)
		}
		return text
	})
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, f.bin, "init", "--config", config).CombinedOutput(); err != nil {
		return fmt.Errorf("init %s: %w: %.300s", branch, err, out)
	}
	if err := f.run(s, "serve", "--config", config); err != nil {
		return err
	}
	f.heavens = append(f.heavens, s)
	if err := s.firstRead(ctx, "/registry/health"); err != nil {
		return fmt.Errorf("start %s: %w; its log ends: %s", branch, err, s.logTail())
	}
	return nil
}

// cpu returns what all processes have used.
func (f *fleet) cpu() (float64, error) {
	sum := 0.0
	for _, s := range append(f.heavens, f.hub) {
		used, err := cpuSeconds(s.pid)
		if err != nil {
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// stop kills all, and removes what they wrote.
func (f *fleet) stop() error {
	var errs []error
	for _, s := range append(f.heavens, f.hub) {
		errs = append(errs, s.kill())
	}
	return errors.Join(append(errs, os.RemoveAll(f.dir))...)
}
