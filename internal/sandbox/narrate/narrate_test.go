// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package narrate

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// shared is a buffer that the reminder may write to as well.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestAStepEndsWithItsTime(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Unix(0, 0))
	out := &shared{}
	n := New(out, clk)
	err := n.Do(t.Context(), "do it", "/log", func(context.Context) error { clk.Step(2500 * time.Millisecond); return nil })
	if err != nil {
		t.Fatal(err)
	}
	want := "[   0.0s] do it ...\n[   2.5s]   ok in 2.5s (log: /log)\n"
	if out.String() != want {
		t.Errorf("told %q, want %q", out.String(), want)
	}
	if s := n.Steps(); len(s) != 1 || s[0].Seconds != 2.5 {
		t.Errorf("kept %+v, want one step of 2.5 s", s)
	}
}

func TestALongStepSaysSo(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Unix(0, 0))
	out := &shared{}
	err := New(out, clk).Do(t.Context(), "wait", "", func(context.Context) error {
		clk.Step(patience)
		deadline := time.Now().Add(5 * time.Second)
		for !strings.Contains(out.String(), "still at it") {
			if time.Now().After(deadline) {
				return errors.New("nothing was said")
			}
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAFailureSaysWhatWhyWhereAndMend(t *testing.T) {
	log := filepath.Join(t.TempDir(), "component.log")
	if err := os.WriteFile(log, []byte("first\n"+strings.Repeat("line\n", 20)+"address already in use\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("it ended")
	n := New(&shared{}, clocktesting.NewFakeClock(time.Unix(0, 0)))
	err := n.Do(t.Context(), "start it", log, func(context.Context) error { return Mend(cause, "free the port") })
	if !errors.Is(err, cause) {
		t.Errorf("the cause is lost: %v", err)
	}
	var b bytes.Buffer
	Explain(&b, err)
	for _, want := range []string{"FAILED: start it", "why:  it ended", log, "address already in use", "mend: free the port"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "first") {
		t.Error("the whole log is shown, not its end")
	}
}

func TestAnInnerFailureKeepsItsAddress(t *testing.T) {
	n := New(&shared{}, clocktesting.NewFakeClock(time.Unix(0, 0)))
	err := n.Do(t.Context(), "outer", "/outer", func(ctx context.Context) error {
		return n.Do(ctx, "inner", "/inner", func(context.Context) error { return errors.New("no") })
	})
	var f *StepError
	if !errors.As(err, &f) || f.Step != "inner" || f.Log != "/inner" {
		t.Errorf("the failure is %+v, want that of the inner step", f)
	}
}
