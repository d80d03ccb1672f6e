// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package topologies_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/testbin"
)

// section is a part of the page with the commands in it.
type section struct {
	title    string
	commands string
}

var (
	block = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	row   = regexp.MustCompile(`(?m)^\| \[`)
	port  = regexp.MustCompile(`\b23[89]\d\d\b`)
	where = regexp.MustCompile(`(?m)^FORGE=.*$`)
)

// page reads the page: what is above the sections, and those with commands.
func page(t *testing.T) (top string, sections []section) {
	t.Helper()
	data, err := os.ReadFile("../../docs/topologies.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(data), "\n## ")
	for i, part := range parts {
		var commands strings.Builder
		for _, m := range block.FindAllStringSubmatch(part, -1) {
			commands.WriteString(m[1])
		}
		if i == 0 {
			top = commands.String()
		} else if commands.Len() > 0 {
			title, _, _ := strings.Cut(part, "\n")
			sections = append(sections, section{title: title, commands: commands.String()})
		}
	}
	if rows := len(row.FindAllString(string(data), -1)); rows != len(sections) || rows == 0 {
		t.Fatalf("the table has %d rows, %d sections have commands", rows, len(sections))
	}
	return top, sections
}

// TestPage holds laws D1 and D2.
func TestPage(t *testing.T) {
	t.Parallel()
	programs := testbin.Dir(t, "gitcd", "etcdctl")
	top, sections := page(t)
	for _, s := range sections {
		t.Run(s.title, func(t *testing.T) {
			t.Parallel()
			ports := map[string]string{} // in the text -> here
			script := port.ReplaceAllStringFunc(top+s.commands, func(text string) string {
				if ports[text] == "" {
					address := testbin.Address(t)
					ports[text] = address[strings.LastIndexByte(address, ':')+1:]
				}
				return ports[text]
			})
			script = where.ReplaceAllLiteralString(script, "FORGE="+forge(t))
			run(t, programs, "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n"+script)
		})
	}
}

// run gives a script two minutes. What it started ends with it.
func run(t *testing.T, programs, script string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-eu", "-o", "pipefail", "-c", script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+programs+string(filepath.ListSeparator)+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
