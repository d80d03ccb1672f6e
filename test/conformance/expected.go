// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// expectation is how many tests pass, by part and server. The file has a line
// for each part:
//
//	part             etcd-3.7.3   gitcd
//	apiserver/etcd3  74           74
type expectation struct {
	// version is the version of etcd whose scores are kept.
	version string
	parts   map[string]map[string]int
}

func readExpected(file string) (*expectation, error) {
	e := &expectation{parts: map[string]map[string]int{}}
	return e, eachLine(file, func(line string) error {
		f := strings.Fields(line)
		if len(f) != 3 {
			return fmt.Errorf("write a part and two numbers, not %q", line)
		}
		if e.version == "" {
			version, ok := strings.CutPrefix(f[1], "etcd-")
			if !ok || f[2] != gitcdName {
				return fmt.Errorf("the first line is part, etcd-VERSION and gitcd, not %q", line)
			}
			e.version = version
			return nil
		}
		e.parts[f[0]] = map[string]int{}
		for i, server := range []string{etcdName, gitcdName} {
			n, err := strconv.Atoi(f[i+1])
			if err != nil {
				return err
			}
			e.parts[f[0]][server] = n
		}
		return nil
	})
}

// exceptions maps "part test" to the reason why gitcd does not pass the test, and
// "part /word/" to the reason why no test whose name has the word is run. The
// file has a line for each: part, test or word, reason.
type exceptions map[string]string

func readExceptions(file string) (exceptions, error) {
	x := exceptions{}
	return x, eachLine(file, func(line string) error {
		f := strings.Fields(line)
		if len(f) < 3 {
			return fmt.Errorf("write a part, a test and the reason, not %q", line)
		}
		x[f[0]+" "+f[1]] = strings.Join(f[2:], " ")
		return nil
	})
}

// skipped is a regular expression for the tests of a part that are not run.
func (x exceptions) skipped(part string) string {
	var words []string
	for name := range x {
		if in, test, _ := strings.Cut(name, " "); in == part && strings.HasPrefix(test, "/") {
			words = append(words, strings.Trim(test, "/"))
		}
	}
	slices.Sort(words)
	return strings.Join(words, "|")
}

// eachLine calls do with each line that is neither empty nor a comment.
func eachLine(file string, do func(line string) error) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := do(line); err != nil {
			return fmt.Errorf("read %s, line %d: %w", file, n, err)
		}
	}
	return nil
}
