// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take on a machine that is busy.
const patience = 3 * time.Minute

// process is a program that is started again whenever it ends, as the kubelet
// does with a container, until it is stopped.
type process struct {
	t    *testing.T
	name string
	path string
	args []string
	log  string

	mu       sync.Mutex
	running  *os.Process
	down     time.Duration // how long it stays away after its next end
	stopped  bool
	starts   int
	fenced   bool
	finished chan struct{}
}

// start runs a program under supervision until the test ends. The end of its
// log is printed if the test fails.
func (c *cluster) start(t *testing.T, name, binary string, args ...string) *process {
	t.Helper()
	return c.startPath(t, name, filepath.Join(c.bin, binary), args...)
}

func (c *cluster) startPath(t *testing.T, name, path string, args ...string) *process {
	t.Helper()
	p := &process{t: c.t, name: name, path: path, args: args, log: c.path("logs", name+".log"), finished: make(chan struct{})}
	if err := os.MkdirAll(filepath.Dir(p.log), 0o755); err != nil {
		t.Fatal(err)
	}
	go p.supervise()
	c.mu.Lock()
	c.processes = append(c.processes, p)
	c.mu.Unlock()
	return p
}

func (p *process) supervise() {
	defer close(p.finished)
	// The parent of a process is a thread: with this one it would be killed.
	runtime.LockOSThread()
	for {
		cmd := exec.Command(p.path, p.args...)
		out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			cmd.Dir, cmd.Stdout, cmd.Stderr = filepath.Dir(p.log), out, out
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			err = p.launch(cmd)
		}
		if err != nil {
			p.t.Errorf("start %s: %v", p.name, err)
			return
		}
		waitErr := cmd.Wait()
		_ = out.Close()
		p.mu.Lock()
		p.running = nil
		down, stopped := p.down, p.stopped
		p.down = 500 * time.Millisecond
		if exit := cmd.ProcessState.ExitCode(); exit == fencedExit && filepath.Base(p.path) == "gitcd" {
			p.fenced = true
		}
		p.mu.Unlock()
		if stopped {
			return
		}
		_ = waitErr // a killed process ends with an error
		time.Sleep(down)
		p.mu.Lock()
		stopped = p.stopped
		p.mu.Unlock()
		if stopped {
			return
		}
	}
}

// fencedExit is gitcd's exit code when another writer has its branch.
const fencedExit = 3

func (p *process) launch(cmd *exec.Cmd) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		cmd.Path = "/bin/true"
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.running = cmd.Process
	p.starts++
	return nil
}

// signal sends a signal to the process if it runs.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		_ = p.running.Signal(s)
	}
}

// kill is kill -9: nothing can be put in order. It comes back after a while.
func (p *process) kill(down time.Duration) {
	p.mu.Lock()
	p.down = down
	p.mu.Unlock()
	p.signal(syscall.SIGKILL)
}

// stop ends the process for good: in order if there is time for that.
func (p *process) stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.signal(syscall.SIGCONT)
	p.signal(syscall.SIGTERM)
	select {
	case <-p.finished:
	case <-time.After(10 * time.Second):
		p.signal(syscall.SIGKILL)
		<-p.finished
	}
}

// end kills the process for good.
func (p *process) end() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.signal(syscall.SIGKILL)
	<-p.finished
	if !p.t.Failed() {
		return
	}
	data, _ := os.ReadFile(p.log)
	lines := strings.Split(string(data), "\n")
	p.t.Logf("the end of the log of %s, started %d times:\n%s", p.name, p.starts, strings.Join(lines[max(0, len(lines)-8):], "\n"))
}

// keep saves what is needed to find out why a test failed.
func (c *cluster) keep() {
	if !c.t.Failed() || *keepFlag == "" {
		return
	}
	to := filepath.Join(*keepFlag, fmt.Sprintf("%s-%d", c.t.Name(), time.Now().Unix()))
	if err := os.MkdirAll(to, 0o755); err != nil {
		c.t.Error(err)
		return
	}
	from, _ := filepath.Glob(c.path("*.git"))
	more, _ := filepath.Glob(c.path("*", "repository.git"))
	for _, dir := range append(append(from, more...), c.path("logs")) {
		if err := os.CopyFS(filepath.Join(to, strings.ReplaceAll(strings.TrimPrefix(dir, c.dir+"/"), "/", "-")), os.DirFS(dir)); err != nil {
			c.t.Error(err)
		}
	}
	c.t.Logf("kept in %s", to)
}

// run runs a program to its end.
func (c *cluster) run(t *testing.T, binary string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), filepath.Join(c.bin, binary), args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", binary, args, err, out)
	}
}

// eventually tries until it works.
func eventually(t *testing.T, patience time.Duration, what string, try func(context.Context) error) {
	t.Helper()
	if err := until(t.Context(), patience, try); err != nil {
		t.Fatalf("%s: not after %s: %v", what, patience, err)
	}
}

// until tries until it works or time is up.
func until(ctx context.Context, patience time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if last == nil {
				last = err
			}
			return last
		case <-tick.C:
		}
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// git runs stock Git.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
