// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// TestJ11Background folds as segments are sealed: there are few packs, the
// larger the older, and writers and readers never wait for it.
func TestJ11Background(t *testing.T) {
	t.Parallel()
	m, clock := &vfs.Mem{}, clocktesting.NewFakeClock(time.Unix(1_700_000_000, 0))
	j := open(t, m, memDir, journal.Options{SegmentSize: 4 << 10, PublishInterval: -1, Keep: keepNone, Clock: clock, RepackInterval: time.Minute, RepackRate: 64 << 10})
	h := &renewals{}
	var frames []journal.Frame
	most := 0
	for range 800 {
		frames = append(frames, h.next(4))
		appendOne(t, j, frames[len(frames)-1], true)
		if _, _, err := j.Get(frames[len(frames)/2].Objects[0].ID); err != nil {
			t.Fatal(err)
		}
		if h.n%20 == 0 {
			if err := j.Checkpoint(t.Context(), []byte("state"), j.Seq()); err != nil {
				t.Fatal(err)
			}
			if err := j.Publish(t.Context()); err != nil {
				t.Fatal(err)
			}
			for n := 0; n < 5 || n < 20_000 && j.History().Waiting > 20; n++ { // the fold rests, over and over
				clock.Step(5 * time.Second)
				time.Sleep(100 * time.Microsecond)
			}
			most = max(most, j.History().Packs)
		}
	}
	got := j.History()
	if got.Err != nil || got.Repacks < 5 || most > 60 {
		t.Errorf("%+v, at most %d packs", got, most)
	}
	reached(t, j)
	closeJournal(t, j)
	check(t, m, memDir)
	packs, size := packFiles(m)
	t.Logf("%+v; %d packs of %d bytes, at most %d", got, packs, size, most)
}

// TestJ11Hub folds the segments of a journal whose frames have no records, and no checkpoint.
func TestJ11Hub(t *testing.T) {
	t.Parallel()
	m := &vfs.Mem{}
	o := journal.Options{SegmentSize: 4 << 10, PublishInterval: -1}
	j := open(t, m, memDir, o)
	h := &renewals{}
	for range 200 {
		f := h.next(4)
		f.Record = nil
		appendOne(t, j, f, false)
	}
	if err := j.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); err != nil || got.Packs == 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	closeJournal(t, j)
	check(t, m, memDir)
	j = open(t, m, memDir, o)
	if err := j.Records(func(uint64, []byte, []journal.RefUpdate) error { return nil }); err != nil {
		t.Error(err)
	}
	reached(t, j)
}

// TestJ11BitRot finds damage before it is copied, and keeps what there is.
func TestJ11BitRot(t *testing.T) {
	t.Parallel()
	m := &vfs.Mem{}
	o := journal.Options{SegmentSize: 8 << 10, PublishInterval: -1, Keep: keepNone}
	sealedRenewals(t, m, memDir, 200, o)
	packs, _ := packFiles(m)
	for name, data := range m.Files() {
		if strings.HasSuffix(name, ".pack") && !strings.Contains(name, "/pack-67697463642d") {
			if err := m.Overwrite(name, int64(len(data)/2), []byte{data[len(data)/2] ^ 1}); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	j := open(t, m, memDir, o)
	if _, err := j.Repack(t.Context(), journal.Repacking{All: true, Now: true}); !errors.Is(err, journal.ErrCorrupt) {
		t.Errorf("have %v", err)
	}
	if err := j.History().Err; !errors.Is(err, journal.ErrCorrupt) {
		t.Errorf("history says %v", err)
	}
	if now, _ := packFiles(m); now != packs {
		t.Errorf("%d packs, were %d", now, packs)
	}
}
