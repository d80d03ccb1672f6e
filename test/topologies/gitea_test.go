// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build gitea

package topologies_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hint"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// settings of a Gitea that serves Git and its API, and nothing else.
const settings = `RUN_MODE = prod
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = %[1]s
ROOT_URL = http://127.0.0.1:%[1]s/
DISABLE_SSH = true
OFFLINE_MODE = true
STATIC_ROOT_PATH = %[2]s
[database]
DB_TYPE = sqlite3
PATH = %[3]s/gitea.db
[repository]
ROOT = %[3]s/repositories
[security]
INSTALL_LOCK = true
MIN_PASSWORD_LENGTH = 4
[webhook]
ALLOWED_HOST_LIST = *
[log]
LEVEL = Warn
`

// server is one Gitea for all tests of the process.
var server struct {
	sync.Mutex
	url   string
	count int
	stop  func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if server.stop != nil {
		server.stop()
	}
	os.Exit(code)
}

// forge makes an empty repository at Gitea, of me with TOKEN.
func forge(t *testing.T) string {
	t.Helper()
	server.Lock()
	defer server.Unlock()
	if server.url == "" {
		start(t)
	}
	server.count++
	name := fmt.Sprintf("cluster-%d", server.count)
	ask(t, "/api/v1/user/repos", map[string]any{"name": name, "private": true}, http.StatusCreated)
	return server.url + "/me/" + name + ".git"
}

// start runs Gitea until the process ends.
func start(t *testing.T) {
	t.Helper()
	program := testbin.Path(t, "gitea")
	module := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "code.gitea.io/gitea")
	module.Dir = "../../build/gitea"
	static, err := module.Output()
	if err != nil {
		t.Fatalf("find Gitea's templates: %v", err)
	}
	dir, err := os.MkdirTemp("", "gitea") //nolint:usetesting // it outlives this test
	if err != nil {
		t.Fatal(err)
	}
	address := testbin.Address(t)
	config := filepath.Join(dir, "app.ini")
	text := fmt.Sprintf(settings, address[strings.LastIndexByte(address, ':')+1:], strings.TrimSpace(string(static)), dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, append([]string{"--config", config, "--work-path", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT=true", "I_AM_BEING_UNSAFE_RUNNING_AS_ROOT=true", "HOME="+dir)
		return cmd
	}
	for _, args := range [][]string{{"migrate"}, {"admin", "user", "create", "--username", "me", "--password", "TOKEN", "--email", "me@example.org", "--must-change-password=false"}} {
		if out, err := run(args...).CombinedOutput(); err != nil {
			t.Fatalf("gitea %s: %v\n%s", args[0], err, out)
		}
	}
	web := run("web")
	if err := web.Start(); err != nil {
		t.Fatal(err)
	}
	server.url = "http://" + address
	server.stop = func() {
		if err := web.Process.Kill(); err == nil {
			web.Wait() //nolint:errcheck // it was killed
		}
		os.RemoveAll(dir) //nolint:errcheck // it is a temporary one
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if resp, err := http.Get(server.url + "/api/healthz"); err == nil { //nolint:noctx // it answers or not
			resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("gitea does not answer")
		}
	}
}

// ask calls Gitea's API.
func ask(t *testing.T, path string, body any, want int) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.url+path, strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("me", "TOKEN")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); resp.StatusCode != want || err != nil {
		t.Fatalf("POST %s: %s %s %v", path, resp.Status, text, err)
	}
}

// TestWebhook has Gitea say that something was pushed.
func TestWebhook(t *testing.T) {
	t.Parallel()
	repository := forge(t)
	told := make(chan struct{}, 1)
	hooks := httptest.NewServer(hint.Handler(func() (string, error) { return "between us", nil }, func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(hooks.Close)
	name := strings.TrimSuffix(repository[strings.LastIndexByte(repository, '/')+1:], ".git")
	ask(t, "/api/v1/repos/me/"+name+"/hooks", map[string]any{
		"type": "gitea", "active": true, "events": []string{"push"},
		"config": map[string]string{"url": hooks.URL, "content_type": "json", "secret": "between us"},
	}, http.StatusCreated)
	script := "git init -q -b main . && git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m x && git push -q " +
		strings.Replace(repository, "://", "://me:TOKEN@", 1) + " main"
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
	cmd.Dir = t.TempDir()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("push: %v\n%s", err, out)
	}
	select {
	case <-told:
	case <-time.After(time.Minute):
		t.Fatal("nobody was told")
	}
}
