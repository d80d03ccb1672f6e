// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/credentials"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/fingerprint"
)

//go:embed files
var files embed.FS

// destinations are the configuration files: name below files/ -> path below the state directory.
var destinations = map[string]string{
	"kubelet.yaml":    "config/kubelet.yaml",
	"kube-proxy.yaml": "config/kube-proxy.yaml",
	"containerd.toml": "config/containerd.toml",
	"cni.json":        "config/cni/10-sandbox.conflist",
	"resolv.conf":     "config/resolv.conf",
	"encryption.yaml": "config/encryption.yaml",
}

// values are what the configuration files are rendered with.
type values struct {
	sandbox.Networks

	Name, State, PKI, ContainerdSocket, Pause, EncryptionKey string
	NodePods                                                 netip.Prefix
}

// writeConfig renders the components' configuration files.
func writeConfig(c sandbox.Config) error {
	nets, err := c.Networks()
	if err != nil {
		return err
	}
	key, err := encryptionKey(c)
	if err != nil {
		return err
	}
	v := values{
		Networks: nets, Name: c.Name, State: c.StateDir, PKI: credentials.Dir(c),
		ContainerdSocket: c.ContainerdSocket(), Pause: sandbox.ImagePause, EncryptionKey: key,
		NodePods: netip.PrefixFrom(nets.Pods.Addr(), 24), // what the controller manager gives its first node
	}
	for name, path := range destinations {
		if err := render(name, c.Path(path), v); err != nil {
			return err
		}
	}
	return nil
}

// render writes one file, if it differs: kube-proxy ends when its configuration
// is written, though it be the same. The encryption key makes them root's alone.
func render(name, path string, v values) error {
	t, err := template.ParseFS(files, "files/"+name)
	if err != nil {
		return fmt.Errorf("parse configuration %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.Option("missingkey=error").Execute(&b, v); err != nil {
		return fmt.Errorf("render configuration %s: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("create configuration directory: %w", err)
	}
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, b.Bytes()) {
		return nil
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write configuration %s: %w", name, err)
	}
	return nil
}

// encryptionKey returns the key that Secrets are encrypted with, drawn once.
func encryptionKey(c sandbox.Config) (string, error) {
	path := credentials.File(c, "encryption.key")
	b, err := os.ReadFile(path)
	if err == nil {
		return string(b), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read encryption key: %w", err)
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("draw encryption key: %w", err)
	}
	key := base64.StdEncoding.EncodeToString(raw)
	if err := os.WriteFile(path, []byte(key), 0o600); err != nil {
		return "", fmt.Errorf("write encryption key: %w", err)
	}
	return key, nil
}

// revision is a digest of what a component reads only when it starts: its binary
// by fingerprint, the others by content.
func revision(binary string, paths ...string) (string, error) {
	id, err := fingerprint.Of(binary)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", filepath.Base(binary), err)
	}
	h := sha256.New()
	_, _ = fmt.Fprintln(h, id) // a hash does not fail
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			return "", fmt.Errorf("read what a component is configured with: %w", err)
		}
		_, _ = h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}
