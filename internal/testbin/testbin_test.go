// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package testbin

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
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
