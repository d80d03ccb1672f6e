// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func call(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		want int
	}{
		"help":               {[]string{"--help"}, 0},
		"an unknown command": {[]string{"upp"}, exitUsage},
		"an argument":        {[]string{"up", "now"}, exitUsage},
		"an unknown flag":    {[]string{"up", "--bogus"}, exitUsage},
		"a wrong output":     {[]string{"status", "-o", "xml"}, exitUsage},
		"a wrong network":    {[]string{"status", "--network", "here"}, exitUsage},
		"an unknown image":   {[]string{"images", "build", "nginx", "--bin-dir", dir}, exitUsage},
		"a host that is not": {[]string{"status", "--state-dir", dir}, exitFailed},
	} {
		if code, _, errOut := call(t, c.args...); code != c.want {
			t.Errorf("%s: exit code %d, want %d: %s", name, code, c.want, errOut)
		}
	}
}

func TestStatusIsJSONAlsoOfAHostThatIsDown(t *testing.T) {
	_, out, _ := call(t, "status", "-o", "json", "--state-dir", t.TempDir())
	var s struct {
		Up         *bool `json:"up"`
		Components []any `json:"components"`
	}
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.Up == nil || *s.Up || s.Components == nil {
		t.Errorf("status -o json printed %q (%v)", out, err)
	}
}

// own are the commands of this package; "machine" is tested where it is.
func TestEveryCommandHasAnExample(t *testing.T) {
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.Hidden || sub.Name() == "machine" || sub.Name() == "completion" || sub.Name() == "help" {
				continue
			}
			if len(sub.Commands()) == 0 && strings.TrimSpace(sub.Example) == "" {
				t.Errorf("%s has no example", sub.CommandPath())
			}
			visit(sub)
		}
	}
	visit(newRoot())
}
