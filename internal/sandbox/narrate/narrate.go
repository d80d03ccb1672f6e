// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package narrate tells what is being done, how long it took, and where the
// log is; and, when a step fails, what failed, the log's last lines, and what
// to do.
//
//	[  3.2s] start the API server ...
//	[  6.0s]   ok in 2.8s (log: /var/lib/headless-sandbox/logs/kube-apiserver.log)
//
// # Laws
//
//  1. Every step ends with ok or failed, and its time.
//  2. A step that takes long says so while it takes it.
//  3. Times are kept, so that a summary can be printed or written as JSON.
package narrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// patience is after how long a step that runs on says so.
const patience = 15 * time.Second

// logLines is how much of a log a failure shows.
const logLines = 15

// Step is one step that was taken.
type Step struct {
	Name    string        `json:"name"`
	Took    time.Duration `json:"-"`
	Seconds float64       `json:"seconds"`
	Log     string        `json:"log,omitempty"`
	Error   string        `json:"error,omitempty"`
}

// Narrator prints steps to one writer. It is for one goroutine, but its
// background reminder shares the writer.
type Narrator struct {
	clock clock.WithTicker
	begun time.Time

	// mu guards what follows.
	mu    sync.Mutex
	out   io.Writer
	steps []Step
}

// New returns a narrator that writes to out.
func New(out io.Writer, c clock.WithTicker) *Narrator {
	return &Narrator{clock: c, begun: c.Now(), out: out}
}

// StepError is an error with what a user needs to go on.
type StepError struct {
	// Step is what was being done.
	Step string
	// Log is the log to look into, if there is one.
	Log string
	// Mend says what to do.
	Mend string
	Err  error
}

func (f *StepError) Error() string { return f.Step + ": " + f.Err.Error() }

func (f *StepError) Unwrap() error { return f.Err }

// Mend attaches advice to an error; nil stays nil.
func Mend(err error, advice string) error {
	if err == nil {
		return nil
	}
	return &advised{err: err, mend: advice}
}

type advised struct {
	err  error
	mend string
}

func (a *advised) Error() string { return a.err.Error() }

func (a *advised) Unwrap() error { return a.err }

// Do takes one step. log may be empty.
func (n *Narrator) Do(ctx context.Context, name, log string, do func(context.Context) error) error {
	n.Sayf("%s ...", name)
	begun := n.clock.Now()
	quiet := n.remind(name, begun)
	err := do(ctx)
	quiet()
	took := n.clock.Since(begun)
	n.record(name, log, took, err)
	if err != nil {
		n.Sayf("  FAILED after %s", seconds(took))
		return n.failure(name, log, err)
	}
	if log == "" {
		n.Sayf("  ok in %s", seconds(took))
	} else {
		n.Sayf("  ok in %s (log: %s)", seconds(took), log)
	}
	return nil
}

// failure keeps an inner step's failure and gives any other error its address.
func (n *Narrator) failure(name, log string, err error) error {
	if _, ok := errors.AsType[*StepError](err); ok {
		return err
	}
	f := &StepError{Step: name, Log: log, Err: err}
	if a, ok := errors.AsType[*advised](err); ok {
		f.Mend = a.mend
	}
	return f
}

// remind says every while that a step is still running, until the returned
// function is called.
func (n *Narrator) remind(name string, begun time.Time) (stop func()) {
	done := make(chan struct{})
	ticker := n.clock.NewTicker(patience)
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C():
				n.Sayf("  still at it after %s: %s", seconds(n.clock.Since(begun)), name)
			}
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}

func (n *Narrator) record(name, log string, took time.Duration, err error) {
	s := Step{Name: name, Took: took, Seconds: took.Seconds(), Log: log}
	if err != nil {
		s.Error = err.Error()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.steps = append(n.steps, s)
}

// Sayf prints one line with the time since the narrator began.
func (n *Narrator) Sayf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	// A narrator that cannot be heard has nobody to complain to.
	_, _ = fmt.Fprintf(n.out, "[%6.1fs] %s\n", n.clock.Since(n.begun).Seconds(), fmt.Sprintf(format, args...))
}

// Block prints text as it is, below a heading.
func (n *Narrator) Block(heading, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = fmt.Fprintf(n.out, "\n--- %s\n%s\n", heading, strings.TrimRight(text, "\n"))
}

// Steps returns the steps taken so far.
func (n *Narrator) Steps() []Step {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]Step(nil), n.steps...)
}

// Elapsed is the time since the narrator began.
func (n *Narrator) Elapsed() time.Duration { return n.clock.Since(n.begun) }

// Explain prints a failure: what failed, why, the log's end, and what to do.
func Explain(out io.Writer, err error) {
	f, ok := errors.AsType[*StepError](err)
	if !ok {
		_, _ = fmt.Fprintf(out, "error: %v\n", err)
		if a, ok := errors.AsType[*advised](err); ok {
			_, _ = fmt.Fprintf(out, "mend: %s\n", a.mend)
		}
		return
	}
	_, _ = fmt.Fprintf(out, "\nFAILED: %s\n  why:  %v\n", f.Step, f.Err)
	if f.Log != "" {
		if lines := lastLines(f.Log, logLines); lines != "" {
			_, _ = fmt.Fprintf(out, "  log:  %s, which ends with\n%s\n", f.Log, lines)
		}
	}
	if f.Mend != "" {
		_, _ = fmt.Fprintf(out, "  mend: %s\n", f.Mend)
	}
}

// lastLines returns the end of a file, indented; empty if it cannot be read.
func lastLines(path string, count int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	if len(lines) > count {
		lines = lines[len(lines)-count:]
	}
	for i, l := range lines {
		if len(l) > 240 {
			l = l[:240] + "..."
		}
		lines[i] = "        " + l
	}
	return strings.Join(lines, "\n")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
