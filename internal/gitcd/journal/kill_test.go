// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

const childEnv = "JOURNAL_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child compares what is there with the history, goes on with it, and prints
// each acknowledgement, until it is killed.
func child(dir string) error {
	ctx := context.Background()
	j, err := journal.Open(ctx, vfs.OS{}, dir, journal.Options{SegmentSize: 64 << 10, PublishInterval: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	var h history
	_, upTo, err := j.LastCheckpoint()
	if err != nil {
		return err
	}
	for range upTo {
		h.next()
	}
	if err := j.Records(func(seq uint64, record []byte, _ []journal.RefUpdate) error {
		if f := h.next(); string(record) != string(f.Record) {
			return fmt.Errorf("frame %d is %q, want %q", seq, record, f.Record)
		}
		return nil
	}); err != nil {
		return err
	}
	if got, _ := j.Ref(mainRef); got != h.head {
		return fmt.Errorf("%s is %s, want %s", mainRef, got, h.head)
	}
	fmt.Println("have", h.n)
	for {
		f := h.next()
		if _, err := j.Append(ctx, []journal.Frame{f}, true); err != nil {
			return err
		}
		fmt.Println("acked", h.n)
		if h.n%500 == 0 {
			if err := j.Checkpoint(ctx, []byte("x"), uint64(h.n)); err != nil {
				return err
			}
		}
	}
}

// TestJ1Kill9 kills a writer again and again: nothing that it had acknowledged is lost.
func TestJ1Kill9(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/r.git"
	acked, rounds := 0, 12
	if testing.Short() {
		rounds = 4
	}
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		started := false
		for lines.Scan() {
			var n int
			switch line := lines.Text(); {
			case strings.HasPrefix(line, "error"):
				t.Fatalf("round %d: %s", round, line)
			case strings.HasPrefix(line, "have"):
				if _, err := fmt.Sscanf(line, "have %d", &n); err != nil || n < acked {
					t.Fatalf("round %d: %s, but %d were acknowledged", round, line, acked)
				}
				started = true
				time.AfterFunc(time.Duration(rand.IntN(200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
			default:
				if _, err := fmt.Sscanf(line, "acked %d", &n); err == nil {
					acked = max(acked, n)
				}
			}
		}
		if err := cmd.Wait(); !started {
			t.Fatalf("round %d: %v", round, err)
		}
		if round%5 == 0 {
			check(t, vfs.OS{}, dir)
		}
	}
	check(t, vfs.OS{}, dir)
	git(t, dir, "fsck", "--strict", "--no-dangling")
	j := open(t, vfs.OS{}, dir, journal.Options{})
	if int(j.Seq()) < acked {
		t.Errorf("%d frames, %d were acknowledged", j.Seq(), acked)
	}
	t.Logf("%d frames acknowledged over %d kills", acked, rounds)
}
