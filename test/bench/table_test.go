// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	tab := newTable([]spec{
		{"a.rate", "a", "/s", bar{atLeast, 1.2}},
		{"a.p99", "a, p99", "ms", bar{atMost, 1}},
		{"b.lag", "b", "ms", bar{below, 200}},
		{"c", "c", "B", bar{}},
		{"d", "never measured", "s", bar{atMost, 1}},
	})
	for i, sample := range []float64{1000, 2000, 900} {
		tab.add("a.rate", etcd, sample)
		tab.add("a.rate", gitcd, sample*[]float64{1.5, 1.1, 1.3}[i])
		tab.add("a.p99", etcd, 2)
		tab.add("a.p99", gitcd, 3)
		tab.add("c", kine, 12345)
	}
	tab.add("b.lag", gitcd, 150)
	tab.fail("a.p", kine, errors.New("no answer"))
	want := []string{
		"| a | 1,000/s | 1,500/s | - | 1.30 (1.10-1.50) | >= 1.20 | yes |",
		"| a, p99 | 2.00 ms | 3.00 ms | failed | 1.50 (1.50-1.50) | <= 1.00 | **no** |",
		"| b | - | 150 ms | - |  | gitcd <= 200 | yes |",
		"| c | - | - | 12,345 B |  |  |  |",
		"- a, p99, kine: no answer",
	}
	got := tab.markdown()
	for _, line := range want {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("the table lacks %q:\n%s", line, got)
		}
	}
	if strings.Contains(got, "never measured") {
		t.Error("a row without samples is printed")
	}
	if n := missed(tab.judge()); n != 1 {
		t.Errorf("%d bars missed, not 1", n)
	}
}

func TestCompareWithThePreviousRun(t *testing.T) {
	specs := []spec{{"a", "moved", "/s", bar{}}, {"b", "stayed", "/s", bar{}}}
	make3 := func(a, b float64) *table {
		tab := newTable(specs)
		for range 3 {
			tab.add("a", etcd, 100)
			tab.add("a", gitcd, a)
			tab.add("b", etcd, 100)
			tab.add("b", gitcd, b)
		}
		return tab
	}
	got := compare(make3(150, 104), &record{Environment: []string{"then"}, Cells: make3(100, 100).cells})
	if !strings.Contains(got, "| moved | 1.00 | 1.50 | 100/s | 150/s |") || strings.Contains(got, "stayed") {
		t.Error(got)
	}
}

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for i := range 1001 {
		times = append(times, time.Duration(i)*time.Millisecond)
	}
	for q, want := range map[float64]float64{0: 0, 0.5: 500, 0.99: 990, 1: 1000} {
		if got := quantile(times, q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v ms, not %v", q, got, want)
		}
	}
}

func TestMiddle(t *testing.T) {
	for _, c := range []struct {
		samples []float64
		want    float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 3}, 2.5}} {
		if got := middle(c.samples); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("the middle of %v is %v, not %v", c.samples, got, c.want)
		}
	}
}
