// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
)

// start starts PID 1 of a machine in its namespaces. It runs on when the caller ends.
func start(dir string, s Spec, init []string) error {
	console, err := os.OpenFile(filepath.Join(dir, "console.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open console: %w", err)
	}
	defer console.Close() //nolint:errcheck // the process has its own
	// No context: the machine outlives its creator.
	cmd := exec.Command(init[0], append(init[1:], dir)...) //nolint:gosec,noctx // our own program
	cmd.Env = []string{}
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID,
	}
	if err = cmd.Start(); err != nil {
		return fmt.Errorf("start first process: %w (this needs root)", err)
	}
	// Whoever started it must take its exit status, or it stays as a zombie.
	go func() { _ = cmd.Wait() }()
	begin, err := beginning(cmd.Process.Pid)
	if err != nil {
		return fmt.Errorf("first process ended at once: see %s", console.Name())
	}
	text := fmt.Sprintf("%d %s\n", cmd.Process.Pid, begin)
	if err := os.WriteFile(filepath.Join(dir, "pid"), []byte(text), 0o600); err != nil {
		return errors.Join(fmt.Errorf("write process id of machine %s: %w", s.Name, err), cmd.Process.Kill())
	}
	return nil
}

// beginning is the time at which a living process was started, in the kernel's
// own unit: with the number it names a process once and for all.
func beginning(pid int) (string, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", fmt.Errorf("read process: %w", err)
	}
	// The name, in parentheses, may hold anything.
	_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')'):]), " ")
	f := strings.Fields(rest)
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return "", fs.ErrNotExist
	}
	return f[19], nil
}

// pidOf returns the process id of a machine's first process, 0 when it does not run.
func pidOf(dir string) int {
	data, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		return 0
	}
	number, begin, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	pid, err := strconv.Atoi(number)
	if err != nil || pid <= 1 {
		return 0
	}
	if now, err := beginning(pid); err != nil || now != begin {
		return 0
	}
	return pid
}

// stop pulls the machine's plug: with the first process of its namespace all others end.
func stop(ctx context.Context, dir string) error {
	pid := pidOf(dir)
	if pid == 0 {
		return nil
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("end first process: %w", err)
	}
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		return pidOf(dir) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the end of process %d: %w", pid, err)
	}
	return nil
}

// Exec runs a program inside a machine, with the caller's standard streams when
// they are given, as a person at its console would.
func (f *Fleet) Exec(ctx context.Context, name string, streams Streams, argv ...string) error {
	m, err := f.Get(name)
	if err != nil {
		return err
	}
	if !m.Running() {
		return fmt.Errorf("machine %s does not run: see %s", name, filepath.Join(m.Dir, "console.log"))
	}
	enter := []string{
		"--target", strconv.Itoa(m.PID), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--",
		// What comes from the host's side has to give up what the machine's first process gave up.
		"/usr/bin/setpriv", "--bounding-set=-sys_time,-sys_module", "/usr/bin/env", "--chdir=/", "-i", "PATH=" + path, "HOME=/root", "TERM=" + os.Getenv("TERM"),
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, argv...)...) //nolint:gosec // running programs is what it is for
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = streams.In, streams.Out, streams.Err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s in machine %s: %w", strings.Join(argv, " "), name, err)
	}
	return nil
}
