// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// dumped is a key as it is printed. One of the values is set, unless it is empty.
type dumped struct {
	Key            string          `json:"key"`
	CreateRevision int64           `json:"createRevision,omitempty"`
	ModRevision    int64           `json:"modRevision,omitempty"`
	Version        int64           `json:"version,omitempty"`
	Lease          int64           `json:"lease,omitempty"`
	Value          json.RawMessage `json:"value,omitempty"`
	Text           string          `json:"text,omitempty"`
	Base64         string          `json:"base64,omitempty"`
	KeyBase64      string          `json:"keyBase64,omitempty"`
}

func toDumped(kv mvcc.KeyValue) dumped {
	d := dumped{Key: kv.Key, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Version: kv.Version, Lease: int64(kv.Lease)}
	if !utf8.ValidString(kv.Key) {
		d.KeyBase64 = base64.StdEncoding.EncodeToString([]byte(kv.Key))
	}
	trimmed := bytes.TrimSpace(kv.Value)
	switch {
	case len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(trimmed):
		d.Value = trimmed
	case utf8.Valid(kv.Value):
		d.Text = string(kv.Value)
	default:
		d.Base64 = base64.StdEncoding.EncodeToString(kv.Value)
	}
	return d
}

// printer writes keys in one of the forms.
type printer struct {
	out   *bufio.Writer
	form  string
	above []string // the directories of the key before, of a tree
}

func (p *printer) print(kv mvcc.KeyValue) error {
	switch p.form {
	case dumpKeys:
		_, err := p.out.WriteString(printable(kv.Key) + "\n")
		return err
	case dumpTree:
		return p.branch(kv.Key)
	case dumpYAML:
		data, err := yaml.Marshal(toDumped(kv))
		if err != nil {
			return fmt.Errorf("print %q: %w", kv.Key, err)
		}
		_, err = p.out.WriteString("---\n" + string(data))
		return err
	default:
		data, err := json.Marshal(toDumped(kv))
		if err != nil {
			return fmt.Errorf("print %q: %w", kv.Key, err)
		}
		_, err = p.out.Write(append(data, '\n'))
		return err
	}
}

// branch prints what of a key's path is new.
func (p *printer) branch(key string) error {
	parts := strings.Split(key, "/")
	same := 0
	for same < len(p.above) && same < len(parts)-1 && p.above[same] == parts[same] {
		same++
	}
	for i := same; i < len(parts); i++ {
		end := ""
		if i < len(parts)-1 {
			end = "/"
		}
		if _, err := p.out.WriteString(strings.Repeat("  ", i) + printable(parts[i]) + end + "\n"); err != nil {
			return err
		}
	}
	p.above = parts[:len(parts)-1]
	return nil
}

// printable quotes what a terminal should not get.
func printable(s string) string {
	for _, r := range s {
		if r == utf8.RuneError || r < ' ' || r == 0x7f {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}

// dumpFiles makes a file of each key, at the path and with the content that it has in a Git tree.
func dumpFiles(ctx context.Context, from keySource, prefix, to string) error {
	if left, err := os.ReadDir(to); err == nil && len(left) > 0 {
		return &usageError{fmt.Errorf("%s is not empty; choose another --to, or empty it", to)}
	}
	dirs := map[string]bool{} // those that other keys are in
	err := from.each(ctx, prefix, func(kv mvcc.KeyValue) error {
		path := layout.Split(kv.Key)
		for i := 1; i < len(path); i++ {
			dirs[strings.Join(path[:i], "/")] = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	return from.each(ctx, prefix, func(kv mvcc.KeyValue) error {
		path := strings.Join(layout.Split(kv.Key), "/")
		if dirs[path] {
			path += "/%"
		}
		name := filepath.Join(to, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // as in a checkout
			return fmt.Errorf("write %q: %w", kv.Key, err)
		}
		if err := os.WriteFile(name, layout.Blob(kv.Value), 0o600); err != nil {
			return fmt.Errorf("write %q: %w", kv.Key, err)
		}
		return nil
	})
}
