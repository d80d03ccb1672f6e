// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	// look is the pause between two looks at readiness.
	look = 200 * time.Millisecond
	// firstPause is how long a component that ended rests; it doubles up to longestPause.
	firstPause   = 500 * time.Millisecond
	longestPause = 10 * time.Second
	// settled is how long a component must have run for its pause to start over.
	settled = time.Minute
	// defaultGrace is how long a component may take to stop.
	defaultGrace = 15 * time.Second
	// logLimit is the size beyond which a log is set aside at a start.
	logLimit = 64 << 20
)

// unit runs one component. Its goroutine owns the process.
type unit struct {
	component Component
	s         *Supervisor
	quit      chan struct{} // closed by stop
	done      chan struct{} // closed when the goroutine has ended
}

func newUnit(c Component, s *Supervisor) *unit {
	return &unit{component: c, s: s, quit: make(chan struct{}), done: make(chan struct{})}
}

// stop ends the component and returns when it has ended.
func (u *unit) stop() {
	close(u.quit)
	<-u.done
}

// run starts the component again and again until it is stopped. It does not
// stop with ctx by itself: the supervisor stops its units in order.
func (u *unit) run(ctx context.Context) {
	defer close(u.done)
	ctx = context.WithoutCancel(ctx)
	pause := firstPause
	for u.awaitNeeds() {
		begun := u.s.o.Clock.Now()
		stopped, err := u.once(ctx)
		if stopped {
			break
		}
		if u.s.o.Clock.Since(begun) > settled {
			pause = firstPause
		}
		u.s.o.Log.Warn("a component ended and is started again", "component", u.component.Name, "how", err, "pause", pause.String())
		u.s.note(u.component.Name, func(st *State) {
			st.Phase, st.PID, st.LastExit = Pausing, 0, err.Error()
			st.Restarts++
		})
		if !u.rest(pause) {
			break
		}
		pause = min(2*pause, longestPause)
	}
	u.s.note(u.component.Name, func(st *State) { st.Phase, st.PID = Stopped, 0 })
}

// awaitNeeds waits until everything needed is ready; false means: stop.
func (u *unit) awaitNeeds() bool {
	for {
		missing := ""
		for _, need := range u.component.Needs {
			if !u.s.ready(need) {
				missing = need
				break
			}
		}
		if missing == "" {
			return true
		}
		u.s.note(u.component.Name, func(st *State) { st.Phase, st.Of = Waiting, u.component.Digest() })
		if !u.rest(look) {
			return false
		}
	}
}

// rest waits; false means: stop.
func (u *unit) rest(d time.Duration) bool {
	timer := u.s.o.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-u.quit:
		return false
	}
}

// once runs one process to its end. stopped says that the end was asked for;
// otherwise err says how it came.
func (u *unit) once(ctx context.Context) (stopped bool, err error) {
	cmd, err := u.start(ctx)
	if err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	watch, cancel := context.WithCancel(ctx)
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		u.awaitReady(watch)
	}()
	defer func() { // nobody calls it ready after its end
		cancel()
		<-looked
	}()
	select {
	case err := <-ended:
		if err == nil {
			err = errors.New("exit status 0")
		}
		return false, err
	case <-u.quit:
		u.end(cmd.Process, ended)
		return true, nil
	}
}

// start starts the process with its log as output and writes its pid file.
func (u *unit) start(ctx context.Context) (*exec.Cmd, error) {
	name := u.component.Name
	out, err := openLog(filepath.Join(u.s.o.LogDir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }()                                            // the process has its own descriptor
	cmd := exec.CommandContext(ctx, u.component.Argv[0], u.component.Argv[1:]...) //nolint:gosec // running components is its purpose
	cmd.Env = append(os.Environ(), u.component.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	u.s.note(name, func(st *State) { st.Phase, st.PID, st.Of = Starting, cmd.Process.Pid, u.component.Digest() })
	pidFile := filepath.Join(u.s.o.RunDir, name+".pid")
	if err := replaceFile(pidFile, []byte(strconv.Itoa(cmd.Process.Pid))); err != nil {
		u.s.o.Log.Error("a pid file was not written", "error", err)
	}
	return cmd, nil
}

// awaitReady looks until the component is ready once.
func (u *unit) awaitReady(ctx context.Context) {
	ticker := u.s.o.Clock.NewTicker(look)
	defer ticker.Stop()
	for u.component.Ready.check(ctx) != nil {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
	}
	if ctx.Err() == nil {
		u.s.note(u.component.Name, func(st *State) { st.Phase = Ready })
	}
}

// end asks the process to stop, and kills it if it does not.
func (u *unit) end(p *os.Process, ended <-chan error) {
	grace := u.component.Grace
	if grace == 0 {
		grace = defaultGrace
	}
	_ = p.Signal(syscall.SIGTERM) // an error means that it has ended
	timer := u.s.o.Clock.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended: //nolint:errcheck // how it ends when it is asked to does not matter
		return
	case <-timer.C():
	}
	u.s.o.Log.Warn("a component did not stop in time and is killed", "component", u.component.Name, "grace", grace.String())
	_ = p.Kill()
	<-ended //nolint:errcheck // as above
}

// openLog opens a log for appending; a large one is set aside first.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("set log aside: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) //nolint:gosec // logs hold no secrets
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return f, nil
}
