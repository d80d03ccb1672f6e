// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Command conformance runs the test suites of gitcd's peers, unmodified, with
// gitcd in etcd's place, and prints one scoreboard.
//
//	suites ─► prepare (download, compile) ─► run with gitcd ─► scores ─┬─► scoreboard
//	                        └─(-peer)─► run with etcd ─► scores ───────┤
//	                                     expected, exceptions ─────────┘─► verdict
//
// A server is started as etcd is: a binary that takes etcd's flags. gitcd does
// when it is called etcd. Servers sync what they acknowledge, as in production.
//
// # Laws
//
//	C1 Unmodified.   The tests are those that were published. Of kube-apiserver's, the one file that starts the server is ours.
//	C2 Named.        A test that gitcd does not pass is in the file exceptions, with the reason, and so in docs/divergence.md.
//	C3 No slack.     Fewer passes than expected fail the run; so does an exception that passes, or a score that nobody expected.
//	C4 From nothing. A fresh machine with Go and the binaries of `make build-peers` needs nothing else.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	only := flag.String("suite", "", "the one suite to run; default: all")
	peer := flag.Bool("peer", false, "run etcd too, beside gitcd")
	match := flag.String("run", "", "only the tests that match; the result is printed, and compared with nothing")
	server := flag.String("server", "", "the server to test, in place of bin/gitcd: a binary that takes etcd's flags")
	flag.Parse()

	root, err := os.Getwd()
	if err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	here := filepath.Join(root, "test", "conformance")
	want, err := readExpected(filepath.Join(here, "expected"))
	if err != nil {
		return err
	}
	known, err := readExceptions(filepath.Join(here, "exceptions"))
	if err != nil {
		return err
	}
	h := house{root: root, bin: binaries(root), out: filepath.Join(root, "out", "conformance"), match: *match, known: known}
	servers := []string{gitcdName}
	if *peer {
		servers = []string{etcdName, gitcdName}
	}
	board := board{}
	for _, s := range chosen {
		for _, name := range servers {
			began := time.Now()
			srv, err := h.server(name, *server)
			if err != nil {
				return err
			}
			scores, err := s.run(ctx, h, srv)
			if err != nil {
				return fmt.Errorf("run %s with %s: %w", s.name, name, err)
			}
			fmt.Printf("%s with %s: %.0f s\n", s.name, name, time.Since(began).Seconds())
			board.add(name, scores)
		}
	}
	if h.match != "" {
		return board.print(os.Stdout, nil)
	}
	return judge(os.Stdout, want, known, board, suiteNames(chosen))
}

// suite is a set of tests that somebody published.
type suite struct {
	name string
	run  func(ctx context.Context, h house, s server) ([]score, error)
}

var suites = []suite{
	{"apiserver", apiserver},
	{"etcd", etcdSuite},
	{"clients", clients},
	{"kubernetes", kubernetes},
	{"robustness", robustness},
}

func suiteNames(of []suite) []string {
	var out []string
	for _, s := range of {
		out = append(out, s.name)
	}
	return out
}

func choose(name string) ([]suite, error) {
	if name == "" {
		return suites, nil
	}
	i := slices.IndexFunc(suites, func(s suite) bool { return s.name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no suite %q; there are %s", name, strings.Join(suiteNames(suites), ", "))
	}
	return suites[i : i+1], nil
}

func binaries(root string) string {
	if dir := os.Getenv("HEADLESS_BIN"); dir != "" {
		return dir
	}
	return filepath.Join(root, "bin")
}

// errMissing says how what is missing is made.
var errMissing = errors.New("run make build-peers")
