// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// The servers that are compared.
const (
	gitcdName = "gitcd"
	etcdName  = "etcd"
)

// house is where things are.
type house struct {
	root, bin, out string
	// match is the tests to run, if not all.
	match string
	known exceptions
}

// server is what is put to the test.
type server struct {
	name string
	// bin is a directory with etcd, etcdctl and etcdutl; etcd is the server.
	bin string
	// out is where what it leaves behind goes.
	out string
}

func (s server) etcd() string { return filepath.Join(s.bin, "etcd") }

// server makes the directory from which a server is started. Other, if given, takes gitcd's place.
func (h house) server(name, other string) (server, error) {
	s := server{name: name, out: filepath.Join(h.out, name)}
	s.bin = filepath.Join(s.out, "bin")
	if err := os.MkdirAll(s.bin, 0o755); err != nil {
		return s, err
	}
	binary := filepath.Join(h.bin, name)
	if name == gitcdName && other != "" {
		binary = other
	}
	for link, target := range map[string]string{
		"etcd": binary, "etcdctl": filepath.Join(h.bin, "etcdctl"), "etcdutl": filepath.Join(h.bin, "etcdutl"),
	} {
		if _, err := os.Stat(target); err != nil {
			return s, fmt.Errorf("find %s: %w: %w", target, err, errMissing)
		}
		link = filepath.Join(s.bin, link)
		if err := os.RemoveAll(link); err != nil {
			return s, err
		}
		if err := os.Symlink(target, link); err != nil {
			return s, err
		}
	}
	return s, nil
}
