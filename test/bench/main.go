// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

type flags struct {
	bin, out, dir, only, commit, servers string
	values                               string
	quick, strict, profile, keep         bool
	show                                 []string // records to print, instead of a run
	rounds                               int
	length                               time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	os.Exit(code)
}

func parse(args []string, stderr io.Writer) (flags, error) {
	var f flags
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	bin := os.Getenv("HEADLESS_BIN")
	if bin == "" {
		bin = "bin"
	}
	fs.StringVar(&f.bin, "bin", bin, "directory of etcd, gitcd, kine and kube-apiserver")
	fs.StringVar(&f.out, "out", filepath.Join("out", "bench"), "directory for results")
	fs.StringVar(&f.dir, "dir", "", "directory on the disk that is measured (default: below --out)")
	fs.StringVar(&f.only, "only", "", "works, of disk,write,read,watch,restart,directory,kubernetes,coordination (default: all), and pods (root, after make quickstart)")
	fs.StringVar(&f.servers, "servers", "", "servers, of etcd,gitcd,kine (default: all)")
	fs.StringVar(&f.values, "values", "json", "json: objects as Kubernetes stores them; random: bytes that nothing can compress")
	fs.StringVar(&f.commit, "commit", "", "what was measured (default: asked from git)")
	fs.BoolVar(&f.quick, "quick", false, "one short round of smaller works: a look, not a measurement")
	fs.BoolVar(&f.strict, "strict", false, "exit with 1 if a bar is missed")
	fs.BoolVar(&f.profile, "profile", false, "collect CPU profiles of gitcd, and print what takes the most time")
	fs.BoolVar(&f.keep, "keep", false, "leave the servers' directories, to be looked at")
	fs.IntVar(&f.rounds, "rounds", 0, "rounds (default: 3; 1 if --quick)")
	fs.DurationVar(&f.length, "length", 0, "length of a phase (default: 3s; 1s if --quick)")
	if err := fs.Parse(args); err != nil {
		return f, err
	}
	f.show = fs.Args()
	if f.values != "json" && f.values != "random" {
		return f, fmt.Errorf("--values is %q: give json or random", f.values)
	}
	return f, nil
}

const (
	exitDone   = 0
	exitMissed = 1
	exitFailed = 2
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	f, err := parse(args, stderr)
	if err != nil {
		return exitFailed, err
	}
	if len(f.show) > 0 {
		text, err := show(f.show)
		if err != nil {
			return exitFailed, err
		}
		_, err = io.WriteString(stdout, text)
		return exitDone, err
	}
	b, chosen, err := prepare(f, stderr)
	if err != nil {
		return exitFailed, err
	}
	if !f.keep {
		defer func() { _ = os.RemoveAll(b.dir) }()
	}
	env := environment(ctx, b, f)
	runErr := b.run(ctx, chosen)
	if runErr != nil {
		env = append(env, "**not whole**: "+runErr.Error())
	}
	report, err := b.publish(context.WithoutCancel(ctx), env, f)
	if err != nil {
		return exitFailed, errors.Join(runErr, err)
	}
	if _, err := io.WriteString(stdout, report); err != nil {
		return exitFailed, fmt.Errorf("print the table: %w", err)
	}
	if runErr != nil {
		return exitFailed, runErr
	}
	if f.strict && missed(b.table.judge()) > 0 {
		return exitMissed, nil
	}
	return exitDone, nil
}

// prepare makes a bench of the flags.
func prepare(f flags, stderr io.Writer) (*bench, []work, error) {
	chosen := works
	if f.only != "" {
		names := strings.Split(f.only, ",")
		chosen = nil
		for _, w := range slices.Concat(works, rooted) {
			if slices.Contains(names, w.name) {
				chosen = append(chosen, w)
				names = slices.DeleteFunc(names, func(n string) bool { return n == w.name })
			}
		}
		if len(names) > 0 {
			return nil, nil, fmt.Errorf("--only names %v, which is no work; see --help", names)
		}
	}
	s := fullScale
	if f.quick {
		s = quickScale
	}
	if f.rounds > 0 {
		s.rounds = f.rounds
	}
	if f.length > 0 {
		s.length = f.length
	}
	bin, err := filepath.Abs(f.bin)
	if err != nil {
		return nil, nil, fmt.Errorf("find the servers: %w", err)
	}
	for _, name := range []string{etcd, gitcd, kine} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return nil, nil, fmt.Errorf("find the servers: %w; run make build-peers", err)
		}
	}
	out, err := filepath.Abs(filepath.Join(f.out, time.Now().UTC().Format("20060102T150405Z")))
	if err != nil {
		return nil, nil, fmt.Errorf("make the results' directory: %w", err)
	}
	dir := f.dir
	if dir == "" {
		dir = filepath.Dir(out)
	}
	for _, d := range []string{filepath.Dir(out), dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, nil, fmt.Errorf("make a directory: %w", err)
		}
	}
	if f.profile {
		if err := os.MkdirAll(out, 0o755); err != nil {
			return nil, nil, fmt.Errorf("make the profiles' directory: %w", err)
		}
	}
	if dir, err = os.MkdirTemp(dir, "servers-"); err != nil {
		return nil, nil, fmt.Errorf("make the servers' directory: %w", err)
	}
	b := &bench{
		peers: realPeers(bin), table: newTable(specs()), dir: dir, out: out, bin: bin, scale: s, random: f.values == "random",
		profile: f.profile, keep: f.keep, profiles: map[string]string{}, progress: stderr, disk: newDiskTimes(),
	}
	if f.servers != "" {
		b.peers = b.only(strings.Split(f.servers, ",")...)
	}
	return b, chosen, nil
}

// environment says what was measured, and where.
func environment(ctx context.Context, b *bench, f flags) []string {
	output := func(name string, args ...string) string {
		out, err := exec.CommandContext(ctx, name, args...).Output()
		if err != nil {
			return "unknown"
		}
		line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
		return string(line)
	}
	commit := f.commit
	if commit == "" {
		commit = output("git", "rev-parse", "--short=12", "HEAD")
		if output("git", "status", "--porcelain", "--", "cmd/gitcd", "internal/gitcd") != "" {
			commit += ", with changes"
		}
	}
	uptime, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		uptime = []byte("unknown")
	}
	mode := "full"
	if f.quick {
		mode = "quick"
	}
	d := diskOf(b.dir)
	return []string{
		"measured: gitcd at " + commit + ", " + output(filepath.Join(b.bin, "etcd"), "--version") + ", kine " + strings.TrimSpace(strings.TrimPrefix(output("sh", "-c", filepath.Join(b.bin, "kine")+" --version"), "kine")) + " on SQLite with synchronous=FULL",
		"machine: " + cpuModel() + ", " + output("uname", "-sr") + ", " + output("findmnt", "-n", "-o", "FSTYPE", "-T", b.dir) + " on " + d.name + "; " + d.String(),
		fmt.Sprintf("run: %s, %s, %d rounds of %s, values %s, 1-minute load at the start %s", time.Now().UTC().Format(time.RFC3339), mode, b.scale.rounds, b.scale.length, f.values, strings.Fields(string(uptime))[0]),
	}
}
