// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
)

// loadConfig reads a configuration file and checks it.
func loadConfig(file string) (*gitcdv1.Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, &usageError{fmt.Errorf("read configuration: %w", err)}
	}
	c, err := gitcdv1.Load(data)
	if err != nil {
		return nil, &usageError{fmt.Errorf("%s: %w", file, err)}
	}
	return c, nil
}

// newLogger logs to standard error.
func newLogger(c gitcdv1.Logging) *slog.Logger {
	level := map[gitcdv1.LogLevel]slog.Level{
		gitcdv1.LogDebug: slog.LevelDebug, gitcdv1.LogInfo: slog.LevelInfo,
		gitcdv1.LogWarn: slog.LevelWarn, gitcdv1.LogError: slog.LevelError,
	}[c.Level]
	o := &slog.HandlerOptions{Level: level}
	if c.Format == gitcdv1.LogJSON {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// holder returns the id of this writer, which outlives restarts as long as its file does.
func holder(file, author string) (string, error) {
	data, err := os.ReadFile(file)
	if err == nil {
		if id := strings.TrimSpace(string(data)); id != "" {
			return id, nil
		}
		return "", fmt.Errorf("read holder: %s is empty; delete it to get a new id, which takes the next epoch", file)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read holder: %w", err)
	}
	var random [6]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("make holder: %w", err)
	}
	id := author + "-" + hex.EncodeToString(random[:])
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // stock git reads the repository
		return "", fmt.Errorf("write holder: %w", err)
	}
	tmp := file + ".tmp"
	if err := os.WriteFile(tmp, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write holder: %w", err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return "", fmt.Errorf("write holder: %w", err)
	}
	return id, nil
}

// grains lays the rules of a configuration over those for Kubernetes.
func grains(rules []gitcdv1.Grain) layout.Grains {
	kinds := map[gitcdv1.GrainType]layout.Grain{
		gitcdv1.GrainFull: layout.Full, gitcdv1.GrainBatch: layout.Batch, gitcdv1.GrainLocal: layout.Local,
	}
	var out layout.Grains
	given := map[string]bool{}
	for _, r := range rules {
		given[r.Prefix] = true
		out = append(out, layout.GrainRule{Prefix: r.Prefix, Grain: kinds[r.Grain]})
	}
	for _, r := range layout.DefaultGrains() {
		if !given[r.Prefix] {
			out = append(out, r)
		}
	}
	return out
}
