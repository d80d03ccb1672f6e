// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

var errAbsent = errors.New("no such object")

// memory is a repository in memory.
type memory struct {
	mu      sync.Mutex
	objects map[gitobj.ID]Object
	refs    map[string]gitobj.ID
	pushes  []Push
	refuse  func(Command) error
}

func newMemory() *memory {
	return &memory{objects: map[gitobj.ID]Object{}, refs: map[string]gitobj.ID{}}
}

func (m *memory) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[id]
	if !ok {
		return 0, nil, fmt.Errorf("%s: %w", id, errAbsent)
	}
	return o.Kind, o.Data, nil
}

func (m *memory) Has(id gitobj.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.objects[id]
	return ok
}

func (m *memory) Refs(prefix string) map[string]gitobj.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := maps.Clone(m.refs)
	maps.DeleteFunc(out, func(name string, _ gitobj.ID) bool { return !strings.HasPrefix(name, prefix) })
	return out
}

func (m *memory) Admit(_ context.Context, commands []Command) []error {
	out := make([]error, len(commands))
	for i, c := range commands {
		if m.refuse != nil {
			out[i] = m.refuse(c)
		}
	}
	return out
}

func (m *memory) Receive(_ context.Context, p Push) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range p.Commands {
		if m.refs[c.Name] != c.Old {
			return fmt.Errorf("%s is at %s: %w", c.Name, m.refs[c.Name], ErrStale)
		}
	}
	for _, o := range p.Objects {
		m.objects[o.ID] = o
	}
	for _, c := range p.Commands {
		m.refs[c.Name] = c.New
	}
	m.pushes = append(m.pushes, p)
	return nil
}

// put stores an object.
func (m *memory) put(kind gitobj.Kind, data []byte) gitobj.ID {
	o := Object{Kind: kind, ID: gitobj.Hash(kind, data), Data: data}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[o.ID] = o
	return o.ID
}

// tree stores a tree of files, "a/b": content, and directories.
func (m *memory) tree(files map[string]string) gitobj.ID {
	below := map[string]map[string]string{}
	var t gitobj.Tree
	for name, content := range files {
		dir, rest, ok := strings.Cut(name, "/")
		if !ok {
			t = append(t, gitobj.Entry{Mode: gitobj.ModeFile, Name: name, ID: m.put(gitobj.KindBlob, []byte(content))})
			continue
		}
		if below[dir] == nil {
			below[dir] = map[string]string{}
		}
		below[dir][rest] = content
	}
	for dir, files := range below {
		t = append(t, gitobj.Entry{Mode: gitobj.ModeDir, Name: dir, ID: m.tree(files)})
	}
	t.Sort()
	return m.put(gitobj.KindTree, t.Encode())
}

// commit stores a commit. Time goes on by a second with each.
func (m *memory) commit(tree gitobj.ID, message string, parents ...gitobj.ID) gitobj.ID {
	m.mu.Lock()
	n := len(m.objects)
	m.mu.Unlock()
	who := gitobj.Signature{Name: "t", Email: "t@example.org", When: time.Unix(1_700_000_000+int64(n), 0).UTC()}
	return m.put(gitobj.KindCommit, gitobj.Commit{Tree: tree, Parents: parents, Author: who, Committer: who, Message: message + "\n"}.Encode())
}

func serve(tb testing.TB, m *memory, limits Limits) string {
	tb.Helper()
	server := httptest.NewServer(NewServer(m, ServerOptions{Receiver: m, Limits: limits}))
	tb.Cleanup(server.Close)
	return server.URL
}

// git runs stock Git.
func git(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	out, err := tryGit(tb, dir, args...)
	if err != nil {
		tb.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func tryGit(tb testing.TB, dir string, args ...string) (string, error) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// writeFile writes a file of a work tree.
func writeFile(tb testing.TB, dir, name, content string) {
	tb.Helper()
	full := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// backend serves a bare repository with Git's own HTTP server.
func backend(tb testing.TB) (url, dir string) {
	tb.Helper()
	dir = filepath.Join(tb.TempDir(), "repo.git")
	git(tb, "", "init", "-q", "--bare", "-b", "main", dir)
	git(tb, dir, "config", "http.receivepack", "true")
	handler := &cgi.Handler{
		Path:   filepath.Join(git(tb, "", "--exec-path"), "git-http-backend"),
		Env:    []string{"GIT_PROJECT_ROOT=" + filepath.Dir(dir), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"},
		Stderr: io.Discard,
	}
	server := httptest.NewServer(handler)
	tb.Cleanup(server.Close)
	return server.URL + "/repo.git", dir
}

// history makes n commits, each of which changes one of many files.
func history(m *memory, n int) (tip gitobj.ID) {
	files := map[string]string{}
	var parents []gitobj.ID
	for i := range n {
		files[fmt.Sprintf("registry/pods/default/pod-%d", i%20)] = fmt.Sprintf("{\n  \"n\": %d\n}\n", i)
		files[fmt.Sprintf("registry/leases/node-%d", i%3)] = strings.Repeat("x", i)
		tip = m.commit(m.tree(files), fmt.Sprintf("change %d", i), parents...)
		parents = []gitobj.ID{tip}
	}
	return tip
}
