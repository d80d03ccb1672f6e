// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// score is what one part of a suite came to.
type score struct {
	part            string
	passed, skipped int
	failed          []string
	// note is what else was seen, such as how fast the server starts.
	note string
}

// binary is a compiled test binary and how it is run.
type binary struct {
	part, file string
	dir        string // where it runs
	args, env  []string
	timeout    time.Duration
}

// verdictLine is what a test says at its end: at the begin of a line, or behind the mark of -test.v=test2json.
var verdictLine = regexp.MustCompile(`(?:^|\x16)--- (PASS|FAIL|SKIP): ([^\s/]+) `)

// run runs a test binary and counts its top-level tests. What it prints goes to a file in out.
func (b binary) run(ctx context.Context, h house, out string) (sc score, reterr error) {
	sc.part = b.part
	args := append([]string{"-test.v=test2json", "-test.timeout=" + b.timeout.String()}, b.args...)
	if h.match != "" {
		args = append(args, "-test.run="+h.match)
	}
	logFile := filepath.Join(out, strings.ReplaceAll(b.part, "/", "-")+".log")
	log, err := os.Create(logFile)
	if err != nil {
		return sc, err
	}
	defer func() { reterr = errors.Join(reterr, log.Close()) }()

	ctx, cancel := context.WithTimeout(ctx, b.timeout+time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.file, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), b.env...)
	cmd.WaitDelay = 5 * time.Second
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	done := make(chan error, 1)
	go func() { done <- sc.read(io.TeeReader(r, log)) }()
	ended := cmd.Run()
	if err := errors.Join(w.Close(), <-done); err != nil {
		return sc, err
	}
	return sc, b.verdict(&sc, ended, logFile)
}

// verdict tells a failed test, which counts, from a binary that did not come to its end, which does not.
func (b binary) verdict(sc *score, err error, logFile string) error {
	slices.Sort(sc.failed)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 && len(sc.failed) > 0 {
		fmt.Printf("%s: %s failed, see %s\n", b.part, strings.Join(sc.failed, ", "), logFile)
		return nil
	}
	if err != nil {
		return fmt.Errorf("run %s: %w; see the end of %s", filepath.Base(b.file), err, logFile)
	}
	if sc.passed == 0 && len(sc.failed) == 0 {
		return fmt.Errorf("run %s: no test ran; see %s", filepath.Base(b.file), logFile)
	}
	return nil
}

func (s *score) read(r io.Reader) error {
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		if m := verdictLine.FindStringSubmatch(line); m != nil {
			switch m[1] {
			case "PASS":
				s.passed++
			case "SKIP":
				s.skipped++
			case "FAIL":
				s.failed = append(s.failed, m[2])
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what the tests say: %w", err)
		}
	}
}

// compile makes a test binary of each package, named after it, in the directory
// out. The flags are those of hack/build.sh, to share what is compiled already.
func compile(ctx context.Context, module, out, tags string, packages ...string) error {
	args := append([]string{"test", "-c", "-trimpath", "-buildvcs=false", "-vet=off", "-tags=" + tags, "-o", out + string(filepath.Separator)}, packages...)
	_, err := goTool(ctx, module, args...)
	return err
}

// goTool runs the go command in dir.
func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w", strings.Join(args, " "), dir, err)
	}
	return strings.TrimSpace(string(out)), nil
}
