// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
)

func TestHoldFollowsTheLink(t *testing.T) {
	clk := testingclock.NewFakeClock(time.Unix(0, 0))
	h := newHolds([]gitcdv1.Hold{{
		Prefix: "/registry/minions/", After: gitcdv1.Duration{Duration: 30 * time.Second}, Settle: gitcdv1.Duration{Duration: time.Minute},
	}}, clk, slog.New(slog.DiscardHandler))
	const node = "/registry/minions/n1"
	for i, s := range []struct {
		seconds int // that pass
		inTouch bool
		held    bool
		why     string
	}{
		{0, false, true, "nothing was heard yet"},
		{5, true, false, "heard soon after the start"},
		{1000, true, false, "all is well"},
		{1, false, false, "only just lost"},
		{20, false, false, "still within After"},
		{1, true, false, "a short cut needs no settling"},
		{1, false, false, "lost again: the time starts anew"},
		{29, false, false, "still within After"},
		{1, false, true, "lost for After"},
		{3600, false, true, "lost for long"},
		{1, true, true, "back, but the others may not be"},
		{30, false, true, "lost while settling"},
		{1, true, true, "back: settling starts anew"},
		{59, true, true, "settling"},
		{1, true, false, "settled"},
		{1, false, false, "only just lost"},
		{100, true, true, "a cut that nobody looked at meanwhile was long all the same"},
	} {
		clk.Step(time.Duration(s.seconds) * time.Second)
		h.look(s.inTouch)
		if got := h.held(node, ""); got != s.held {
			t.Fatalf("step %d: held %t, want %t: %s", i, got, s.held, s.why)
		}
	}
}

func TestHoldAfterALateStart(t *testing.T) {
	clk := testingclock.NewFakeClock(time.Unix(0, 0))
	h := newHolds([]gitcdv1.Hold{{
		Prefix: "/a/", After: gitcdv1.Duration{Duration: 30 * time.Second}, Settle: gitcdv1.Duration{Duration: time.Minute},
	}}, clk, slog.New(slog.DiscardHandler))
	h.look(false)
	clk.Step(time.Minute)
	h.look(true)
	if !h.held("/a/x", "") {
		t.Error("a start that did not find the upstream for After needs settling")
	}
}

func TestHoldKnowsItsKeys(t *testing.T) {
	h := newHolds([]gitcdv1.Hold{{Prefix: "/registry/minions/"}}, testingclock.NewFakeClock(time.Unix(0, 0)), slog.New(slog.DiscardHandler))
	for _, c := range []struct {
		key, end string
		want     bool
	}{
		{"/registry/minions/n1", "", true},
		{"/registry/minions", "", false},
		{"/registry/pods/default/a", "", false},
		{"/registry/minions/", "/registry/minions0", true},
		{"/registry/", "/registry0", true},
		{"/registry/", "\x00", true},
		{"/registry/a", "/registry/b", false},
		{"/registry/n", "\x00", false},
	} {
		if got := h.held(c.key, c.end); got != c.want {
			t.Errorf("%q to %q: held %t, want %t", c.key, c.end, got, c.want)
		}
	}
}
