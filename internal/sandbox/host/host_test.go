// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/yaml"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/credentials"
)

// prepared is a state directory with credentials and configuration, and
// binaries that are only files.
func prepared(t *testing.T) sandbox.Config {
	t.Helper()
	c, err := sandbox.Config{StateDir: filepath.Join(t.TempDir(), "state"), BinDir: t.TempDir()}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []string{sandbox.StoreGitcd, sandbox.StoreEtcd, APIServer, Controllers, Scheduler, Kubelet, Proxy, "sandbox"} {
		if err := os.WriteFile(c.Bin(b), []byte(b), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := Claim(c); err != nil {
		t.Fatal(err)
	}
	if err := credentials.Ensure(c, clocktesting.NewFakeClock(time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := writeConfig(c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfigurationRenders(t *testing.T) {
	c := prepared(t)
	for name, path := range destinations {
		b, err := os.ReadFile(c.Path(path))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), "{{") || strings.Contains(string(b), "<no value>") {
			t.Errorf("%s is not wholly rendered:\n%s", name, b)
		}
		var parsed map[string]any
		switch filepath.Ext(name) {
		case ".yaml":
			err = yaml.UnmarshalStrict(b, &parsed)
		case ".json":
			err = json.Unmarshal(b, &parsed)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
}

func TestConfigurationThatIsTheSameIsNotWritten(t *testing.T) {
	c := prepared(t)
	old := time.Unix(1000, 0)
	for _, path := range destinations {
		if err := os.Chtimes(c.Path(path), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeConfig(c); err != nil {
		t.Fatal(err)
	}
	for _, path := range destinations {
		info, err := os.Stat(c.Path(path))
		if err != nil || !info.ModTime().Equal(old) {
			t.Errorf("%s was written again (%v): kube-proxy would end", path, err)
		}
	}
}

func TestTheEncryptionKeyIsDrawnOnce(t *testing.T) {
	c := prepared(t)
	before, err := os.ReadFile(c.Path("config/encryption.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeConfig(c); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(c.Path("config/encryption.yaml"))
	if err != nil || string(before) != string(after) {
		t.Errorf("the key changed (%v): what it encrypted would be lost", err)
	}
}

func TestComponentsNeedWhatStartsBeforeThem(t *testing.T) {
	if _, err := os.Stat("/usr/bin/containerd"); err != nil {
		t.Skip("containerd is not installed")
	}
	for _, store := range []string{sandbox.StoreGitcd, sandbox.StoreEtcd} {
		t.Run(store, func(t *testing.T) {
			c := prepared(t)
			c.Store = store
			checkOrder(t, c)
		})
	}
}

func checkOrder(t *testing.T, c sandbox.Config) {
	t.Helper()
	list, err := components(c)
	if err != nil {
		t.Fatal(err)
	}
	var before []string
	for _, comp := range list {
		if slices.Contains(before, comp.Name) {
			t.Errorf("two components are named %s", comp.Name)
		}
		for _, need := range comp.Needs {
			if !slices.Contains(before, need) {
				t.Errorf("%s needs %s, which does not start before it: stopping in reverse would pull it away", comp.Name, need)
			}
		}
		before = append(before, comp.Name)
	}
	if list[0].Name != c.Store {
		t.Errorf("the store is not the last to stop: %s is", list[0].Name)
	}
}

func TestARevisionFollowsWhatIsRead(t *testing.T) {
	c := prepared(t)
	config := c.Path("config/kubelet.yaml")
	first, err := revision(c.Bin(Kubelet), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, []byte("maxPods: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	changed, err := revision(c.Bin(Kubelet), config)
	if err != nil || changed == first {
		t.Errorf("another configuration has the same revision (%v)", err)
	}
	if _, err := revision(c.Bin("absent")); err == nil {
		t.Error("a binary that is not there has a revision")
	}
}

func TestADirectoryOfOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "theirs"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Claim(sandbox.Config{StateDir: dir}); err == nil {
		t.Error("a directory with other files is claimed")
	}
	h := &Host{Config: sandbox.Config{StateDir: dir}}
	if err := h.removeState(t.Context()); err == nil {
		t.Error("a directory that is not marked is removed")
	}
	if _, err := os.Stat(filepath.Join(dir, "theirs")); err != nil {
		t.Errorf("their file is gone: %v", err)
	}
}

func TestRemovingCanBeRepeated(t *testing.T) {
	c := prepared(t)
	h := &Host{Config: c}
	for range 2 {
		if err := h.removeState(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(c.StateDir); err == nil {
		t.Error("the state directory is still there")
	}
}

func TestOneCommandAtATime(t *testing.T) {
	c := sandbox.Config{StateDir: t.TempDir()}
	release, err := Lock(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(t.Context(), c); !errors.Is(err, ErrBusy) {
		t.Errorf("a second command gets %v, want ErrBusy", err)
	}
	other, err := Lock(t.Context(), sandbox.Config{StateDir: t.TempDir()})
	if err != nil {
		t.Errorf("another host is locked too: %v", err)
	} else {
		other()
	}
	release()
	again, err := Lock(t.Context(), c)
	if err != nil {
		t.Fatalf("the lock is not released: %v", err)
	}
	again()
}
