// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

func story(t *testing.T, c sandbox.Config, clk *clocktesting.FakeClock) *Story {
	t.Helper()
	s, err := New(c, Options{}, narrate.New(io.Discard, clk), clk)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatWasMeasuredIsToldAgain(t *testing.T) {
	c := sandbox.Config{StateDir: t.TempDir(), BinDir: "/bin"}
	clk := clocktesting.NewFakeClock(time.Now())
	s := story(t, c, clk)
	s.told.APIReady = 31.5
	if err := s.keep(); err != nil {
		t.Fatal(err)
	}
	if again := story(t, c, clk); again.told.APIReady != 31.5 {
		t.Errorf("the next telling knows %.1f s, want 31.5", again.told.APIReady)
	}
}

func TestTheTimeOfTheApplyOutlivesAnInterruption(t *testing.T) {
	c := sandbox.Config{StateDir: t.TempDir(), BinDir: "/bin"}
	clk := clocktesting.NewFakeClock(time.Now())
	s := story(t, c, clk)
	if got := s.sinceApplied(); got != 0 {
		t.Errorf("%v s since an apply that never was", got)
	}
	if err := s.keepTime(); err != nil {
		t.Fatal(err)
	}
	clk.Step(42 * time.Second)
	if got := story(t, c, clk).sinceApplied(); got < 41.9 || got > 42.1 {
		t.Errorf("%v s since the apply, want 42", got)
	}
}

func TestAMissedBarIsTold(t *testing.T) {
	s := story(t, sandbox.Config{StateDir: t.TempDir(), BinDir: "/bin"}, clocktesting.NewFakeClock(time.Now()))
	s.told.APIReady, s.told.PodsRunning = 61, 14.9
	s.told.Gitcd = []resident{{Where: "pod x", Bytes: 65 << 20}, {Where: "pod y", Bytes: 30 << 20}}
	table := strings.Split(s.barTable(), "\n")
	for i, want := range []string{"OVER", " ok ", "OVER", " ok "} {
		if !strings.Contains(table[i], want) {
			t.Errorf("row %q, want %s", table[i], want)
		}
	}
	s.told.PodsRunning = 0
	if row := strings.Split(s.barTable(), "\n")[1]; !strings.Contains(row, "not measured") {
		t.Errorf("a time that was not taken is told as %q", row)
	}
}

func TestMilestonesAreNotedOnceInOrder(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Now())
	s := story(t, sandbox.Config{StateDir: t.TempDir(), BinDir: "/bin"}, clk)
	v := &sightings{story: s, begun: clk.Now()}
	v.reach(false, "never", "x")
	clk.Step(time.Second)
	v.reach(true, "ReplicaSet", "kcm")
	clk.Step(time.Second)
	v.reach(true, "ReplicaSet", "kcm")
	v.reach(true, "pods", "kcm")
	if len(v.list) != 2 || v.list[0].At != 1 || v.list[1].At != 2 || v.last() != "pods" {
		t.Errorf("milestones %+v", v.list)
	}
	if table := milestoneTable(v.list); !strings.Contains(table, "(+1.0 s)") {
		t.Errorf("the table does not tell the steps between:\n%s", table)
	}
}

func TestAnExistingHostNeedsAKubeconfig(t *testing.T) {
	clk := clocktesting.NewFakeClock(time.Now())
	_, err := New(sandbox.Config{StateDir: t.TempDir()}, Options{Host: Existing}, narrate.New(io.Discard, clk), clk)
	if err == nil || !strings.Contains(err.Error(), "KUBECONFIG") {
		t.Errorf("New = %v, want that KUBECONFIG is missing", err)
	}
}

func TestAProcessIsKnownByItsCgroup(t *testing.T) {
	c := sandbox.Config{Name: "headless-host", StateDir: t.TempDir()}
	if err := os.MkdirAll(c.Path("machines", "w1"), 0o700); err != nil {
		t.Fatal(err)
	}
	for groups, want := range map[string]string{
		"8:pids:/headless-host/system\n":                              "the host's own store",
		"8:pids:/headless-host/kubepods/burstable/pod1/2\n":           "pod blue-hub-1",
		"2:cpu:/\n8:pids:/headless-m-w1/system.slice/gitcd.service\n": "machine w1",
		"0::/headless-host/kubepods/besteffort/pod3/4\n":              "pod blue-hub-1",
		"8:pids:/\n": "",
		"8:pids:/headless-m-others/system.slice/gitcd.service\n": "",
		"8:pids:/another-host/system\n":                          "",
	} {
		if got := whose(c, groups, "PATH=/bin\x00HOSTNAME=blue-hub-1\x00"); got != want {
			t.Errorf("whose(%q) = %q, want %q", groups, got, want)
		}
	}
}
