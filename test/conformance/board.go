// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// board is all scores: part, then server.
type board map[string]map[string]score

func (b board) add(server string, scores []score) {
	for _, s := range scores {
		if b[s.part] == nil {
			b[s.part] = map[string]score{}
		}
		b[s.part][server] = s
	}
}

// print writes the scoreboard. What was not run is taken from what is expected.
func (b board) print(w io.Writer, want *expectation) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(tw, "\nsuite\t%s\tgitcd\texceptions\n", want.title())
	var notes []string
	for _, part := range slices.Sorted(maps.Keys(b)) {
		etcd := want.text(part, etcdName)
		if s, ok := b[part][etcdName]; ok {
			etcd = s.text()
		}
		g := b[part][gitcdName]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", part, etcd, g.text(), strings.Join(g.failed, " "))
		if g.note != "" {
			notes = append(notes, part+": "+g.note)
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
	return nil
}

func (s score) text() string { return fmt.Sprintf("%d of %d", s.passed, s.passed+len(s.failed)) }

// judge prints the scoreboard and compares it with what is expected of the suites that were run.
func judge(w io.Writer, want *expectation, known exceptions, b board, ran []string) error {
	if err := b.print(w, want); err != nil {
		return err
	}
	var errs []error
	for _, part := range slices.Sorted(maps.Keys(b)) {
		for server, s := range b[part] {
			errs = append(errs, want.compare(server, s))
		}
		errs = append(errs, known.compare(b[part][gitcdName]))
	}
	for part := range want.parts {
		suite, _, _ := strings.Cut(part, "/")
		if _, ok := b[part]; !ok && slices.Contains(ran, suite) {
			errs = append(errs, fmt.Errorf("%s is expected and was not run", part))
		}
	}
	return errors.Join(errs...)
}

// compare tells what falls short of what is expected, or exceeds it.
func (e *expectation) compare(server string, s score) error {
	want, ok := e.parts[s.part][server]
	switch {
	case !ok:
		return fmt.Errorf("%s: nothing is expected of %s: write %d into test/conformance/expected", s.part, server, s.passed)
	case s.passed < want:
		return fmt.Errorf("%s: %s passes %d, and %d are expected; failed: %s", s.part, server, s.passed, want, strings.Join(s.failed, ", "))
	case s.passed > want:
		return fmt.Errorf("%s: %s passes %d, more than the %d that are expected: write that into test/conformance/expected", s.part, server, s.passed, want)
	default:
		return nil
	}
}

// compare tells which failures have no name, and which names do not fail.
func (x exceptions) compare(s score) error {
	var errs []error
	for _, test := range s.failed {
		if _, ok := x[s.part+" "+test]; !ok {
			errs = append(errs, fmt.Errorf("%s: %s fails and is not among test/conformance/exceptions", s.part, test))
		}
	}
	for name := range x {
		part, test, _ := strings.Cut(name, " ")
		if part == s.part && !strings.HasPrefix(test, "/") && !slices.Contains(s.failed, test) {
			errs = append(errs, fmt.Errorf("%s: %s is among test/conformance/exceptions and does not fail: take it out", part, test))
		}
	}
	return errors.Join(errs...)
}

// title heads etcd's column.
func (e *expectation) title() string {
	if e == nil {
		return etcdName
	}
	return "etcd " + e.version
}

// text is the score that is kept of a server.
func (e *expectation) text(part, server string) string {
	if e == nil {
		return "-"
	}
	n, ok := e.parts[part][server]
	if !ok {
		return "-"
	}
	return strconv.Itoa(n) + " (kept)"
}
