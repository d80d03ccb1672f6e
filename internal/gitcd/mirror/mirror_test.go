// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mirror_test

import (
	"bytes"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mirror"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// TestEverythingIsMirrored shows the good case: all branches are at the forge, in step, and stock Git is content there.
func TestEverythingIsMirrored(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	r := start(t, &vfs.Mem{}, f.client(secret), mirror.Options{})
	a, b := r.heaven("heavens/a"), r.heaven("nodes/b")
	a.write("registry/x", "1")
	r.inStep(f)
	b.follow()
	b.write("registry/y", "2")
	a.write("registry/x", "3")
	r.inStep(f)
	want := map[string]string{"registry/x": "3", "registry/y": "2"}
	if got := keys(t, f.dir, "main"); !maps.Equal(got, want) {
		t.Errorf("the forge's main has %v, want %v", got, want)
	}
	git(t, f.dir, "fsck", "--strict", "--no-progress")
	s := r.mirror.Status()
	if !s.Connected || s.RPOSeconds != 0 || s.Pushes == 0 || s.LastError != "" || s.TakenIn != 0 || s.Lost != 0 || len(s.Kept) != 0 {
		t.Errorf("status: %+v", s)
	}
}

// TestFaultyForge holds law F4: whatever the forge does wrong, once it answers it has everything, and the hub goes on meanwhile.
func TestFaultyForge(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(f *forge) func(http.ResponseWriter, *http.Request) bool{
		"cut":        func(*forge) func(http.ResponseWriter, *http.Request) bool { return cut },
		"500":        func(*forge) func(http.ResponseWriter, *http.Request) bool { return answer(500) },
		"401":        func(*forge) func(http.ResponseWriter, *http.Request) bool { return answer(401) },
		"nonsense":   func(*forge) func(http.ResponseWriter, *http.Request) bool { return answer(200) },
		"no answer":  func(f *forge) func(http.ResponseWriter, *http.Request) bool { return f.lostAnswer(0) },
		"half of it": func(f *forge) func(http.ResponseWriter, *http.Request) bool { return f.lostAnswer(50) },
		"most of it": func(f *forge) func(http.ResponseWriter, *http.Request) bool { return f.lostAnswer(95) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t)
			r := start(t, &vfs.Mem{}, f.client(secret), mirror.Options{})
			a := r.heaven("heavens/a")
			a.write("registry/x", "1")
			r.inStep(f)
			f.link.set(fault(f))
			a.write("registry/x", "2")
			eventually(t, "the failure shows", func() bool {
				s := r.mirror.Status()
				return s.Failures > 2 && s.LastError != "" && s.RPOSeconds > 0
			})
			a.write("registry/y", "3") // the hub goes on
			if got := r.main(); got["registry/x"] != "2" {
				t.Errorf("main has %v", got)
			}
			f.link.set(nil)
			r.inStep(f)
			eventually(t, "the failure is over", func() bool { s := r.mirror.Status(); return s.LastError == "" && s.RPOSeconds == 0 })
			git(t, f.dir, "fsck", "--strict", "--no-progress")
		})
	}
}

// TestPatience holds law F5: a forge that asks for fewer requests is left alone that long.
func TestPatience(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	r := start(t, &vfs.Mem{}, f.client(secret), mirror.Options{})
	a := r.heaven("heavens/a")
	a.write("registry/x", "1")
	r.inStep(f)
	f.link.set(answer(http.StatusTooManyRequests, "Retry-After", "2"))
	before, _ := f.link.count()
	a.write("registry/x", "2")
	eventually(t, "it asked", func() bool { n, _ := f.link.count(); return n > before })
	asked, _ := f.link.count()
	from := time.Now()
	r.mirror.Hint() // a hint is no reason to be impolite
	eventually(t, "it asks again", func() bool { n, _ := f.link.count(); return n > asked })
	if waited := time.Since(from); waited < 1500*time.Millisecond {
		t.Errorf("it asked again after %s", waited)
	}
	f.link.set(nil)
	r.inStep(f)
}

// TestBatches holds law F5's other half: many changes go out in few pushes.
func TestBatches(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	const interval = 700 * time.Millisecond
	r := start(t, &vfs.Mem{}, f.client(secret), mirror.Options{Interval: interval})
	a := r.heaven("heavens/a")
	for i := range 30 {
		a.write("registry/x", strings.Repeat("x", i+1))
	}
	r.inStep(f)
	f.link.mu.Lock()
	defer f.link.mu.Unlock()
	for i := 1; i < len(f.link.pushes); i++ {
		if gap := f.link.pushes[i].Sub(f.link.pushes[i-1]); gap < interval-100*time.Millisecond {
			t.Errorf("push %d came %s after the one before", i, gap)
		}
	}
	if len(f.link.pushes) > 20 {
		t.Errorf("%d pushes", len(f.link.pushes))
	}
}

// TestSecretsStayInside lets the password go nowhere but into the header of requests.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	var mu sync.Mutex
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(writer(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(p)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	const wrong = "wr0ng-passw0rd"
	r := open(t, &vfs.Mem{}, f.client(wrong), mirror.Options{Log: log}, false)
	a := r.heaven("heavens/a")
	a.write("registry/x", "1")
	eventually(t, "it is refused", func() bool { s := r.mirror.Status(); return strings.Contains(s.LastError, "401") })
	s := r.mirror.Status()
	mu.Lock()
	text := out.String() + s.LastError + s.URL
	mu.Unlock()
	for _, word := range []string{secret, wrong} {
		if strings.Contains(text, word) {
			t.Errorf("%q is told: %s", word, text)
		}
	}
	if !strings.Contains(text, "token") {
		t.Errorf("the mend is not told: %s", text)
	}
}

type writer func(p []byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// TestAnotherProject holds law F6: a repository that is somebody else's is left as it is.
func TestAnotherProject(t *testing.T) {
	t.Parallel()
	f := newForge(t)
	work := filepath.Join(t.TempDir(), "work")
	git(t, "", "init", "-q", "--initial-branch=main", work)
	commitFile(t, work, "README.md", "an application")
	git(t, work, "push", "-q", f.dir, "main")
	was := f.head("main")
	r := open(t, &vfs.Mem{}, f.client(secret), mirror.Options{}, false)
	a := r.heaven("heavens/a")
	a.write("registry/x", "1")
	eventually(t, "it is told", func() bool { return strings.Contains(r.mirror.Status().LastError, "not this cluster's") })
	if got := git(t, f.dir, "for-each-ref", "--format=%(refname)"); got != "refs/heads/main" || f.head("main") != was {
		t.Errorf("the forge has %s, main at %s", got, f.head("main"))
	}
	if r.mirror.Status().OldestUnpushed == nil {
		t.Error("what is nowhere else has no age")
	}
	f.wipe() // the person chooses an empty repository
	r.inStep(f)
}
