// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestAFailureShowsWhatWasRunAndSaid(t *testing.T) {
	_, err := Run(t.Context(), "sh", "-c", "echo out; echo because >&2; exit 3")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("Run = %v, want exit code 3", err)
	}
	for _, want := range []string{"sh -c", "because"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}

func TestALongComplaintIsCut(t *testing.T) {
	_, err := Run(t.Context(), "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x >&2; echo the end >&2; exit 1")
	if err == nil || len(err.Error()) > 2*tail || !strings.HasSuffix(err.Error(), "the end") {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestOutputIsCopied(t *testing.T) {
	var copied bytes.Buffer
	out, err := RunWith(t.Context(), Options{Stdin: strings.NewReader("hello"), Output: &copied}, "cat")
	if err != nil || out != "hello" || copied.String() != "hello" {
		t.Errorf("out %q, copied %q, %v", out, copied.String(), err)
	}
}

func TestAnEndedContextEndsTheProgram(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, "sleep", "1000"); err == nil {
		t.Error("a program ran under an ended context")
	}
}
