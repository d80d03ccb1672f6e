// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// process is a gitcd of its own.
type process struct {
	client   *clientv3.Client
	endpoint string
	cmd      *exec.Cmd
	ended    chan struct{}
	err      error
	mu       sync.Mutex
	log      bytes.Buffer
}

// Write takes what it logs.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// startProcess serves a repository, by way of a command that runs it if there is one.
func startProcess(t *testing.T, repository string, by ...string) *process {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	p := &process{endpoint: "unix://" + socket, ended: make(chan struct{})}
	args := append(by, testbin.Path(t, "gitcd"), "serve", "--dir", repository, "--listen", p.endpoint)
	p.cmd = exec.CommandContext(t.Context(), args[0], args[1:]...)
	p.cmd.Stderr = p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.ended) }()
	var err error
	if p.client, err = clientv3.New(clientv3.Config{Endpoints: []string{p.endpoint}, DialTimeout: 10 * time.Second, Logger: zap.NewNop()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.client.Close() })
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := once(t, func(ctx context.Context) (*clientv3.GetResponse, error) { return p.client.Get(ctx, "ready") }); err == nil {
			return p
		}
		select {
		case <-p.ended:
			t.Fatalf("gitcd ended: %v\n%s", p.err, p.logged())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("gitcd does not answer\n%s", p.logged())
		}
	}
}

// exit waits for the end, and returns the exit code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		t.Fatalf("gitcd does not end\n%s", p.logged())
		return 0
	}
}

// rss returns what the process has in memory.
func (p *process) rss(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var kb int64
	_, after, _ := strings.Cut(string(data), "VmRSS:")
	if _, err := fmt.Sscan(after, &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// fill puts until one is refused, and returns what was acknowledged and why it ended.
func (p *process) fill(t *testing.T, acked map[string]string, most int) error {
	t.Helper()
	for range most {
		key := fmt.Sprintf("/registry/pods/d/%d", len(acked))
		value := fmt.Sprintf(`{"n":%d,"text":%q}`, len(acked), strings.Repeat("x", 16<<10))
		if _, err := once(t, func(ctx context.Context) (*clientv3.PutResponse, error) { return p.client.Put(ctx, key, value) }); err != nil {
			return err
		}
		acked[key] = value
	}
	return nil
}

func (p *process) expect(t *testing.T, acked map[string]string) {
	t.Helper()
	for key, value := range acked {
		have, err := p.client.Get(t.Context(), key)
		if err != nil || len(have.Kvs) != 1 || string(have.Kvs[0].Value) != value {
			t.Fatalf("%s: %v", key, err)
		}
	}
}

// verify runs gitcd verify, which must succeed.
func verify(t *testing.T, repository string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), testbin.Path(t, "gitcd"), "verify", "--dir", repository).CombinedOutput(); err != nil {
		t.Fatalf("verify: %v\n%s", err, out)
	}
}

// TestF1SmallDisk fills a real file system of 48 MB.
func TestF1SmallDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("no tmpfs can be mounted: %v", err)
	}
	defer func() { _ = unix.Unmount(disk, unix.MNT_DETACH) }()
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 24<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	repository := filepath.Join(disk, "r.git")
	p := startProcess(t, repository)
	acked := map[string]string{}
	if err := p.fill(t, acked, 10_000); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Fatalf("a full disk: %v\n%s", err, p.logged())
	}
	p.expect(t, acked)
	alarms, err := p.client.AlarmList(t.Context())
	if err != nil || len(alarms.Alarms) != 1 || alarms.Alarms[0].Alarm != pb.AlarmType_NOSPACE {
		t.Errorf("alarms: %v, %v", alarms, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := p.fill(t, acked, 1); !errors.Is(err, rpctypes.ErrNoSpace) {
		t.Errorf("with room, and the alarm still on: %v", err)
	}
	before := len(acked)
	for range 2 { // somebody may have met the full disk just before
		if _, err := p.client.AlarmDisarm(t.Context(), &clientv3.AlarmMember{Alarm: pb.AlarmType_NOSPACE}); err != nil {
			t.Fatal(err)
		}
		if err = p.fill(t, acked, 100); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatalf("with room: %v\n%s", err, p.logged())
	}
	p.expect(t, acked)
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.logged())
	}
	verify(t, repository)
	p = startProcess(t, repository)
	p.expect(t, acked)
	_ = p.cmd.Process.Kill()
	<-p.ended
	t.Logf("%d writes acknowledged before the disk was full, %d after", before, len(acked)-before)
}

// TestF2WriteFails has the kernel refuse writes of a running process: it ends, and says what to do.
func TestF2WriteFails(t *testing.T) {
	repository := t.TempDir() + "/r.git"
	p := startProcess(t, repository)
	acked := map[string]string{}
	if err := p.fill(t, acked, 20); err != nil {
		t.Fatal(err)
	}
	limit := unix.Rlimit{Cur: 1 << 10, Max: 1 << 10} // bytes in a file
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.fill(t, acked, 100); err == nil {
		t.Fatal("writes go on")
	}
	failed(t, p, repository, acked, "file too large")
}

// TestF2FailedSyncProcess has the kernel fail each fdatasync from the 30th on.
func TestF2FailedSyncProcess(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace, which fails system calls for us, is not installed")
	}
	repository := t.TempDir() + "/r.git"
	p := startProcess(t, repository, strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=60+")
	acked := map[string]string{}
	if err := p.fill(t, acked, 500); err == nil {
		t.Fatal("writes go on")
	}
	failed(t, p, repository, acked, "input/output error")
}

// failed looks at the end of a process that could not write, and at its next life.
func failed(t *testing.T, p *process, repository string, acked map[string]string, why string) {
	t.Helper()
	if code := p.exit(t); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{why, ".open", "restart gitcd"} {
		if !strings.Contains(p.logged(), want) {
			t.Errorf("it does not say %q:\n%s", want, p.logged())
		}
	}
	verify(t, repository)
	again := startProcess(t, repository)
	again.expect(t, acked)
	if err := again.fill(t, acked, 5); err != nil {
		t.Errorf("once the disk is sound: %v", err)
	}
	_ = again.cmd.Process.Kill()
	<-again.ended
	t.Logf("%d writes acknowledged; it said: %s", len(acked), p.logged())
}

// TestF4VerifySaysSo damages a byte: verify names the file, the law and the mend, and exits with 4.
func TestF4VerifySaysSo(t *testing.T) {
	repository := t.TempDir() + "/r.git"
	p := startProcess(t, repository)
	if err := p.fill(t, map[string]string{}, 5); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.exit(t)
	verify(t, repository)
	segment := filepath.Join(repository, "gitcd/journal/seg-00000001.open")
	f, err := os.OpenFile(segment, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte{0xff}, 100)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), testbin.Path(t, "gitcd"), "verify", "--dir", repository).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 4 {
		t.Errorf("verify: %v", err)
	}
	for _, want := range []string{"J3: ", segment + " at byte ", "restore it from a backup"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("verify does not say %q:\n%s", want, out)
		}
	}
}
