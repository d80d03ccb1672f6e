// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package testbin

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestDir finds bin of the checkout, and what the environment says before that.
func TestDir(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HEADLESS_BIN", "")
	if have, want := Dir(t), filepath.Join(root, "bin"); have != want {
		t.Errorf("it is %s, want %s", have, want)
	}
	own := t.TempDir()
	if err := os.WriteFile(filepath.Join(own, "program"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HEADLESS_BIN", own)
	if have, want := Path(t, "program"), filepath.Join(own, "program"); have != want {
		t.Errorf("it is %s, want %s", have, want)
	}
}

// TestT2Once asks for many ports at once: each is another, and outside of what the system gives away.
func TestT2Once(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]bool{}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				port := Port(t)
				mu.Lock()
				if seen[port] || port < firstPort || port >= firstPort+portCount {
					t.Errorf("port %s is given twice, or is none of these", strconv.Itoa(port))
				}
				seen[port] = true
				mu.Unlock()
			}
		})
	}
	group.Wait()
}

// TestT4Mortal starts a program that ends when it is asked to, and tells that it was.
func TestT4Mortal(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("HEADLESS_BIN", bin)
	script := "#!/bin/sh\ntrap 'echo asked >>" + bin + "/pid; exit' TERM\necho $$ >" + bin + "/pid\nwhile :; do sleep 0.05; done\n"
	if err := os.WriteFile(filepath.Join(bin, "program"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	said := func() []string {
		text, err := os.ReadFile(filepath.Join(bin, "pid"))
		if err != nil {
			return nil
		}
		return strings.Fields(string(text))
	}
	t.Run("life", func(t *testing.T) {
		Start(t, "program")
		for end := time.Now().Add(time.Minute); len(said()) == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it does not run")
			}
		}
	})
	words := said()
	if len(words) != 2 || words[1] != "asked" {
		t.Fatalf("it said %q, want its id and that it was asked to end", words)
	}
	pid, err := strconv.Atoi(words[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d outlives its test", pid)
	}
}
