// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package supervisor keeps the host's components running.
//
//	components.json ─► Supervisor ─► one process per component ─► logs/NAME.log
//	      ▲ SIGHUP          │
//	      up                └─► NAME.pid, state.json ─► status
//
// # Laws
//
//  1. A component starts once what it needs is ready, and is started again
//     whenever it ends, after a pause that grows.
//  2. Stopping goes in the reverse order of the list, and every wait in it has
//     an end: a component that ignores SIGTERM is killed.
//  3. Its logs are files of their own, written by the component itself: they
//     survive the supervisor.
//  4. One supervisor a directory: a lock says so.
package supervisor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/utils/clock"
)

// Component is one program that is kept running.
type Component struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	// Env is added to the supervisor's environment.
	Env []string `json:"env,omitempty"`
	// Needs are components that must be ready before this one starts.
	Needs []string `json:"needs,omitempty"`
	// Ready says when it is; without a probe it is ready when it runs.
	Ready Probe `json:"ready,omitzero"`
	// Grace is how long it may take to stop.
	Grace time.Duration `json:"grace,omitempty"`
	// Revision changes when something the component reads only at its start has changed.
	Revision string `json:"revision,omitempty"`
}

// Digest differs between components that differ in anything.
func (c Component) Digest() string {
	b, err := json.Marshal(c)
	if err != nil {
		return "" // a component is made of strings and numbers: this does not come
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// State is what is known of one component.
type State struct {
	Name     string    `json:"name"`
	PID      int       `json:"pid,omitempty"`
	Phase    Phase     `json:"phase"`
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
	// LastExit says how the last process ended.
	LastExit string `json:"lastExit,omitempty"`
	Log      string `json:"log"`
	// Of is the digest of the component that this is said of, as the supervisor has it.
	Of string `json:"of,omitempty"`
}

// Phase is where a component is in its life.
type Phase string

// The phases of a component.
const (
	Waiting  Phase = "Waiting"  // for what it needs
	Starting Phase = "Starting" // it runs, but is not ready
	Ready    Phase = "Ready"
	Pausing  Phase = "Pausing" // it ended, and will be started again
	Stopped  Phase = "Stopped"
)

// Options place a supervisor.
type Options struct {
	// RunDir holds the list, the pid files, the state and the lock.
	RunDir string
	// LogDir holds one log per component.
	LogDir string
	Clock  clock.WithTicker
	Log    *slog.Logger
}

const (
	listFile  = "components.json"
	stateFile = "state.json"
	lockFile  = "supervisor.pid"
)

// Supervisor runs components until its context ends.
type Supervisor struct {
	o Options

	// mu guards what follows.
	mu     sync.Mutex
	units  []*unit          // in the order of the list
	states map[string]State // component name -> what is known of it
	write  sync.Mutex       // orders the writers of state.json
}

// New returns a supervisor that runs nothing yet.
func New(o Options) *Supervisor {
	return &Supervisor{o: o, states: map[string]State{}}
}

// Run takes the lock, starts the listed components, and looks at the list again
// at every reload. It returns when ctx has ended and all components have stopped.
func (s *Supervisor) Run(ctx context.Context, reload <-chan os.Signal) error {
	lock, err := takeLock(s.o.RunDir)
	if err != nil {
		return err
	}
	defer lock.release()
	if err := s.apply(ctx); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			s.stopAll(s.running())
			return nil
		case <-reload:
			if err := s.apply(ctx); err != nil {
				s.o.Log.Error("the list of components was not taken over", "error", err)
			}
		}
	}
}

// apply brings the running components to the list: those that left it or
// changed are stopped, last first, and those that are new are started.
func (s *Supervisor) apply(ctx context.Context) error {
	want, err := ReadComponents(s.o.RunDir)
	if err != nil {
		return err
	}
	var gone []*unit
	kept := map[string]*unit{}
	for _, u := range s.running() {
		if slices.ContainsFunc(want, func(c Component) bool { return reflect.DeepEqual(c, u.component) }) {
			kept[u.component.Name] = u
		} else {
			gone = append(gone, u)
		}
	}
	s.stopAll(gone)
	var next []*unit
	for _, c := range want {
		u, ok := kept[c.Name]
		if !ok {
			u = newUnit(c, s)
			go u.run(ctx)
		}
		next = append(next, u)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.units = next
	return nil
}

func (s *Supervisor) running() []*unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.units)
}

// stopAll stops components, the last of the list first.
func (s *Supervisor) stopAll(units []*unit) {
	for _, u := range slices.Backward(units) {
		u.stop()
		s.mu.Lock()
		delete(s.states, u.component.Name)
		s.mu.Unlock()
	}
	s.publish()
}

// ready reports whether a component is ready.
func (s *Supervisor) ready(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states[name].Phase == Ready
}

// note changes what is known of a component and publishes it.
func (s *Supervisor) note(name string, change func(*State)) {
	s.mu.Lock()
	before := s.states[name]
	st := before
	st.Name, st.Log = name, filepath.Join(s.o.LogDir, name+".log")
	change(&st)
	if st.Phase != before.Phase {
		st.Since = s.o.Clock.Now()
	}
	s.states[name] = st
	s.mu.Unlock()
	if st != before {
		s.publish()
	}
}

// publish writes state.json, whole or not at all.
func (s *Supervisor) publish() {
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	list := make([]State, 0, len(s.units))
	for _, u := range s.units {
		if st, ok := s.states[u.component.Name]; ok {
			list = append(list, st)
		}
	}
	s.mu.Unlock()
	b, err := json.MarshalIndent(list, "", "  ")
	if err == nil {
		err = replaceFile(filepath.Join(s.o.RunDir, stateFile), b)
	}
	if err != nil {
		s.o.Log.Error("the state was not written", "error", err)
	}
}

// ReadStates returns what the supervisor of a directory last published.
func ReadStates(runDir string) ([]State, error) {
	b, err := os.ReadFile(filepath.Join(runDir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state of components: %w", err)
	}
	var list []State
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("parse state of components: %w", err)
	}
	return list, nil
}

// ReadComponents returns the list of a directory.
func ReadComponents(runDir string) ([]Component, error) {
	b, err := os.ReadFile(filepath.Join(runDir, listFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read list of components: %w", err)
	}
	var list []Component
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("parse list of components: %w", err)
	}
	return list, nil
}

// WriteComponents replaces the list of a directory; Reload makes it count.
func WriteComponents(runDir string, list []Component) error {
	b, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return fmt.Errorf("encode list of components: %w", err)
	}
	if err := replaceFile(filepath.Join(runDir, listFile), b); err != nil {
		return fmt.Errorf("write list of components: %w", err)
	}
	return nil
}

// Reload asks the supervisor of a directory to read its list again.
func Reload(runDir string) error {
	pid, ok := Running(runDir)
	if !ok {
		return errors.New("no supervisor runs: run `sandbox up`")
	}
	if err := unix.Kill(pid, unix.SIGHUP); err != nil {
		return fmt.Errorf("signal supervisor: %w", err)
	}
	return nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, content []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", next, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}
