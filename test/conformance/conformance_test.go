// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestExceptionsAreDocumented is law C2: docs/divergence.md has a row for each exception, with its reason, and no other.
func TestExceptionsAreDocumented(t *testing.T) {
	t.Parallel()
	known, err := readExceptions("exceptions")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("..", "..", "docs", "divergence.md")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(data), "\n## Tests of others that gitcd does not pass\n")
	if !ok {
		t.Fatalf("%s has no section on the tests that gitcd does not pass", file)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	documented := exceptions{}
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[2], "`Test") && !strings.Contains(cells[2], "`/") {
			continue
		}
		documented[strings.TrimSpace(cells[1])+" "+strings.Trim(cells[2], " `")] = strings.TrimSpace(cells[3])
	}
	if !maps.Equal(known, documented) {
		t.Errorf("test/conformance/exceptions has\n%s\n%s has\n%s", lines(known), file, lines(documented))
	}
}

func lines(x exceptions) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(x)) {
		b.WriteString(name + " " + x[name] + "\n")
	}
	return b.String()
}

// TestScoresAreDocumented: docs/conformance.md has the numbers of the file expected.
func TestScoresAreDocumented(t *testing.T) {
	t.Parallel()
	want, err := readExpected("expected")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if cells := strings.Split(line, "|"); len(cells) == 7 {
			documented[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[4]) + " " + strings.TrimSpace(cells[5])
		}
	}
	for part, scores := range want.parts {
		if s := fmt.Sprint(scores[etcdName], " ", scores[gitcdName]); documented[part] != s {
			t.Errorf("docs/conformance.md says %q of %s; expected says %s", documented[part], part, s)
		}
	}
}

// TestExceptionsHaveAPart: an exception of a part that nobody runs would never be missed.
func TestExceptionsHaveAPart(t *testing.T) {
	t.Parallel()
	known, err := readExceptions("exceptions")
	if err != nil {
		t.Fatal(err)
	}
	want, err := readExpected("expected")
	if err != nil {
		t.Fatal(err)
	}
	for name := range known {
		part, _, _ := strings.Cut(name, " ")
		if _, ok := want.parts[part]; !ok {
			t.Errorf("exceptions names part %s, and expected does not", part)
		}
	}
	for part := range want.parts {
		suite, _, _ := strings.Cut(part, "/")
		if _, err := choose(suite); err != nil {
			t.Errorf("expected names part %s: %v", part, err)
		}
	}
}

// TestJudge is law C3.
func TestJudge(t *testing.T) {
	t.Parallel()
	const expected = "part etcd-3.7.3 gitcd\nlock/one 4 3\nlock/two 1 1\n"
	const excepted = "lock/one TestOdd gitcd is even\nlock/one /Bolt/ there is none\n"
	good := score{part: "lock/one", passed: 3, failed: []string{"TestOdd"}}
	second := score{part: "lock/two", passed: 1}
	for name, c := range map[string]struct {
		scores []score
		want   string
	}{
		"as expected":         {[]score{good, second}, ""},
		"one less":            {[]score{{part: "lock/one", passed: 2, failed: []string{"TestOdd", "TestNew"}}, second}, "TestNew fails and is not among"},
		"one more":            {[]score{{part: "lock/one", passed: 4}, second}, "does not fail: take it out"},
		"another":             {[]score{{part: "lock/one", passed: 3, failed: []string{"TestNew"}}, second}, "TestNew fails and is not among"},
		"one that vanished":   {[]score{{part: "lock/one", passed: 2, failed: []string{"TestOdd"}}, second}, "passes 2, and 3 are expected"},
		"a part not run":      {[]score{good}, "lock/two is expected and was not run"},
		"a part not expected": {[]score{good, second, {part: "lock/three", passed: 1}}, "nothing is expected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, err := readExpected(write(t, expected))
			if err != nil {
				t.Fatal(err)
			}
			known, err := readExceptions(write(t, excepted))
			if err != nil {
				t.Fatal(err)
			}
			if got := known.skipped("lock/one"); got != "Bolt" {
				t.Fatalf("%q is skipped, not Bolt", got)
			}
			b := board{}
			b.add(gitcdName, c.scores)
			var out strings.Builder
			err = judge(&out, want, known, b, []string{"lock"})
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("the verdict is %v, without %q", err, c.want)
			case !strings.Contains(out.String(), "etcd 3.7.3"):
				t.Fatalf("the board does not name etcd's version:\n%s", out.String())
			}
		})
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRead: verdicts are found among what tests print, also behind text without an end of line, and those of subtests are not counted.
func TestRead(t *testing.T) {
	t.Parallel()
	var s score
	if err := s.read(strings.NewReader("=== RUN   TestA\nno end of line\x16--- PASS: TestA (0.10s)\n\x16--- FAIL: TestB (0.10s)\n" +
		"    --- FAIL: TestB/sub (0.10s)\n\x16--- SKIP: TestC (0.00s)\n--- PASS: TestD/sub (0.00s)\nPASS")); err != nil {
		t.Fatal(err)
	}
	if s.passed != 1 || s.skipped != 1 || !slices.Equal(s.failed, []string{"TestB"}) {
		t.Fatalf("got %+v", s)
	}
}
