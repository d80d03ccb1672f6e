// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/utils/clock"
)

// house is a supervisor that runs in this process, with programs of its own.
type house struct {
	t      *testing.T
	dir    string
	reload chan os.Signal
	end    context.CancelFunc
	ended  chan error
}

func newHouse(t *testing.T, list ...Component) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), reload: make(chan os.Signal, 1), ended: make(chan error, 1)}
	h.write(list...)
	ctx, cancel := context.WithCancel(t.Context())
	h.end = cancel
	s := New(Options{RunDir: h.dir, LogDir: h.dir, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)})
	go func() { h.ended <- s.Run(ctx, h.reload) }()
	t.Cleanup(func() { h.stop() })
	return h
}

func (h *house) write(list ...Component) {
	h.t.Helper()
	if err := WriteComponents(h.dir, list); err != nil {
		h.t.Fatal(err)
	}
}

// stop ends the supervisor and waits for it.
func (h *house) stop() {
	h.t.Helper()
	h.end()
	if h.ended == nil {
		return
	}
	select {
	case err := <-h.ended:
		if err != nil {
			h.t.Errorf("Run() = %v", err)
		}
	case <-time.After(20 * time.Second):
		h.t.Error("the supervisor does not end")
	}
	h.ended = nil
}

func (h *house) state(name string) State {
	h.t.Helper()
	list, err := ReadStates(h.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, s := range list {
		if s.Name == name {
			return s
		}
	}
	return State{}
}

func (h *house) eventually(what string, holds func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			h.t.Fatalf("it does not come about: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// notes is what programs wrote into a common file.
func (h *house) notes() string {
	b, _ := os.ReadFile(filepath.Join(h.dir, "notes")) // absent at first
	return strings.Join(strings.Fields(string(b)), " ")
}

// program notes its start and its end, and runs until it is asked to end.
func program(name string, needs ...string) Component {
	script := fmt.Sprintf(`cd "$(dirname "$0")" && echo +%[1]s >> notes; trap 'echo -%[1]s >> notes; exit 0' TERM; while :; do sleep 0.02; done`, name)
	return Component{Name: name, Argv: []string{"sh", "-c", script, "DIR/x"}, Needs: needs}
}

// in places programs into a house's directory.
func in(h *house, list ...Component) []Component {
	for i := range list {
		argv := append([]string(nil), list[i].Argv...)
		for j := range argv {
			argv[j] = strings.ReplaceAll(argv[j], "DIR", h.dir)
		}
		list[i].Argv = argv
	}
	return list
}

func TestAComponentThatEndsIsStartedAgain(t *testing.T) {
	h := newHouse(t, Component{Name: "a", Argv: []string{"sleep", "1000"}})
	h.eventually("a runs", func() bool { return h.state("a").Phase == Ready })
	first := h.state("a").PID
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.eventually("another a runs", func() bool { s := h.state("a"); return s.Phase == Ready && s.PID != first })
	if s := h.state("a"); s.Restarts != 1 || !strings.Contains(s.LastExit, "killed") {
		t.Errorf("state %+v, want one restart after a kill", s)
	}
}

func TestAComponentWaitsForWhatItNeeds(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	h := newHouse(t,
		Component{Name: "store", Argv: []string{"sleep", "1000"}, Ready: Probe{Socket: socket}},
		Component{Name: "server", Argv: []string{"sleep", "1000"}, Needs: []string{"store"}})
	h.eventually("the store starts", func() bool { return h.state("store").Phase == Starting })
	h.eventually("the server waits", func() bool { return h.state("server").Phase == Waiting })
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	h.eventually("the server runs", func() bool { return h.state("server").Phase == Ready })
}

func TestStoppingIsInReverseOrder(t *testing.T) {
	h := newHouse(t)
	h.write(in(h, program("a"), program("b", "a"), program("c", "b"))...)
	h.reload <- syscall.SIGHUP
	h.eventually("all run", func() bool { return h.notes() == "+a +b +c" })
	h.stop()
	if got, want := h.notes(), "+a +b +c -c -b -a"; got != want {
		t.Errorf("notes %q, want %q", got, want)
	}
}

func TestReloadTouchesOnlyWhatChanged(t *testing.T) {
	h := newHouse(t)
	h.write(in(h, program("a"), program("b"))...)
	h.reload <- syscall.SIGHUP
	h.eventually("both run", func() bool { return h.state("a").PID != 0 && h.state("b").PID != 0 && len(h.notes()) > 3 })
	kept := h.state("a").PID
	changed := program("b")
	changed.Revision = "2"
	h.write(in(h, program("a"), changed, program("c"))...)
	h.reload <- syscall.SIGHUP
	h.eventually("b was started again, and c", func() bool {
		return strings.Contains(h.notes(), "-b") && strings.Count(h.notes(), "+b") == 2 && strings.Contains(h.notes(), "+c")
	})
	if h.state("a").PID != kept {
		t.Error("a was started again although it had not changed")
	}
	list, err := ReadComponents(h.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		if got := h.state(c.Name).Of; got != c.Digest() {
			t.Errorf("the state of %s is that of %s, not of %s", c.Name, got, c.Digest())
		}
	}
	if list[1].Digest() == program("b").Digest() {
		t.Error("components that differ have the same digest")
	}
}

func TestAComponentThatIgnoresTheSignalIsKilled(t *testing.T) {
	h := newHouse(t, Component{Name: "deaf", Argv: []string{"sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"}, Grace: 200 * time.Millisecond})
	h.eventually("it runs", func() bool { return h.state("deaf").Phase == Ready })
	time.Sleep(100 * time.Millisecond) // let the shell set its trap
	pid := h.state("deaf").PID
	h.stop()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Error("it still runs")
	}
}

func TestOneSupervisorADirectory(t *testing.T) {
	h := newHouse(t, Component{Name: "a", Argv: []string{"sleep", "1000"}})
	h.eventually("it runs", func() bool { pid, ok := Running(h.dir); return ok && pid == os.Getpid() })
	other := New(Options{RunDir: h.dir, LogDir: h.dir, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler)})
	if err := other.Run(t.Context(), nil); err == nil {
		t.Error("a second supervisor runs in the same directory")
	}
	h.stop()
	if _, ok := Running(h.dir); ok {
		t.Error("a supervisor that ended is said to run")
	}
}

func TestALargeLogIsSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, logLimit+1); err != nil {
		t.Fatal(err)
	}
	f, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil || info.Size() != 0 {
		t.Errorf("the new log has %d bytes (%v), want none", info.Size(), err)
	}
	if _, err := os.Stat(path + ".1"); err != nil {
		t.Errorf("the old log is lost: %v", err)
	}
}
