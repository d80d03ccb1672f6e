// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// cell is what one server did in a row: a sample for each round.
type cell struct {
	Samples []float64 `json:"samples,omitempty"`
	Error   string    `json:"error,omitempty"`
}

// table collects samples and judges them.
type table struct {
	specs []spec
	cells map[string]map[string]*cell // row id -> server -> cell
}

func newTable(specs []spec) *table {
	return &table{specs: specs, cells: map[string]map[string]*cell{}}
}

func (t *table) cell(id, server string) *cell {
	if t.cells[id] == nil {
		t.cells[id] = map[string]*cell{}
	}
	if t.cells[id][server] == nil {
		t.cells[id][server] = &cell{}
	}
	return t.cells[id][server]
}

func (t *table) add(id, server string, sample float64) {
	c := t.cell(id, server)
	c.Samples = append(c.Samples, sample)
}

// fail fails each row whose id begins with a prefix.
func (t *table) fail(prefix, server string, err error) {
	for _, s := range t.specs {
		if strings.HasPrefix(s.id, prefix) {
			if c := t.cell(s.id, server); c.Error == "" {
				c.Error = err.Error()
			}
		}
	}
}

// median returns the middle of the samples, false if there are none or the row failed.
func (c *cell) median() (float64, bool) {
	if c == nil || c.Error != "" || len(c.Samples) == 0 {
		return 0, false
	}
	return middle(c.Samples), true
}

func middle(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// verdict is a row with its numbers.
type verdict struct {
	spec
	medians    map[string]float64 // server -> median; absent: not measured
	errors     map[string]string
	ratio      float64 // median of the rounds' gitcd/etcd; NaN: there is none
	low, high  float64 // its spread over the rounds
	rounds     int
	judged, ok bool
}

// judge returns the rows that were measured.
func (t *table) judge() []verdict {
	var out []verdict
	for _, s := range t.specs {
		cells := t.cells[s.id]
		if len(cells) == 0 {
			continue
		}
		v := verdict{spec: s, medians: map[string]float64{}, errors: map[string]string{}, ratio: math.NaN()}
		for server, c := range cells {
			if m, ok := c.median(); ok {
				v.medians[server] = m
				v.rounds = max(v.rounds, len(c.Samples))
			} else if c.Error != "" {
				v.errors[server] = c.Error
			}
		}
		v.compare(cells[etcd], cells[gitcd])
		own, measured := v.medians[gitcd]
		v.judged = s.bar.kind != noBar
		v.ok = measured && s.bar.holds(v.ratio, own)
		out = append(out, v)
	}
	return out
}

// compare takes the ratio of each round, then the middle one.
func (v *verdict) compare(theirs, ours *cell) {
	if _, ok := theirs.median(); !ok {
		return
	}
	if _, ok := ours.median(); !ok {
		return
	}
	var ratios []float64
	for i := range min(len(theirs.Samples), len(ours.Samples)) {
		if theirs.Samples[i] > 0 {
			ratios = append(ratios, ours.Samples[i]/theirs.Samples[i])
		}
	}
	if len(ratios) > 0 {
		v.ratio, v.low, v.high = middle(ratios), slices.Min(ratios), slices.Max(ratios)
	}
}

// markdown prints the table, and below it what failed.
func (t *table) markdown() string {
	var b, notes strings.Builder
	b.WriteString("| work | etcd | gitcd | kine | gitcd/etcd (spread) | bar | ok? |\n| --- | ---: | ---: | ---: | ---: | --- | --- |\n")
	for _, v := range t.judge() {
		ratio, ok := "", ""
		if !math.IsNaN(v.ratio) {
			ratio = fmt.Sprintf("%.2f (%.2f-%.2f)", v.ratio, v.low, v.high)
		}
		if v.judged {
			ok = map[bool]string{true: "yes", false: "**no**"}[v.ok]
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", v.title, v.number(etcd), v.number(gitcd), v.number(kine), ratio, v.bar, ok)
		for _, server := range []string{etcd, gitcd, kine} {
			if e := v.errors[server]; e != "" {
				fmt.Fprintf(&notes, "- %s, %s: %s\n", v.title, server, e)
			}
		}
	}
	if notes.Len() > 0 {
		b.WriteString("\nFailed:\n\n" + notes.String())
	}
	return b.String()
}

// number prints a median with its unit.
func (v *verdict) number(server string) string {
	if v.errors[server] != "" {
		return "failed"
	}
	m, ok := v.medians[server]
	if !ok {
		return "-"
	}
	space := " "
	if strings.HasPrefix(v.unit, "/") || v.unit == "x" {
		space = ""
	}
	return digitsOf(m) + space + v.unit
}

// digitsOf prints three significant digits, and whole numbers in full.
func digitsOf(f float64) string {
	switch {
	case f == 0:
		return "0"
	case math.Abs(f) >= 100:
		s := fmt.Sprintf("%.0f", f)
		for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case math.Abs(f) >= 10:
		return fmt.Sprintf("%.1f", f)
	case math.Abs(f) >= 1:
		return fmt.Sprintf("%.2f", f)
	default:
		return fmt.Sprintf("%.3f", f)
	}
}

// missed counts the bars that were not reached.
func missed(vs []verdict) (n int) {
	for _, v := range vs {
		if v.judged && !v.ok {
			n++
		}
	}
	return n
}
