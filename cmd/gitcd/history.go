// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// repackInterval is how often a running gitcd looks whether there is something to be folded.
const repackInterval = time.Minute

// Sealed segments are folded once a checkpoint covers their records. When as
// many as saveSegments wait for one, it is asked for, but not more often than saveInterval says.
const (
	saveSegments = 8
	saveInterval = 5 * time.Minute
)

// keepHistory saves the stores when many segments wait for that, and tells of repacks that fail.
func keepHistory(ctx context.Context, log *slog.Logger, j *journal.Journal, stores ...*mvcc.Store) {
	told := ""
	for tick := time.NewTicker(saveInterval); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		h := j.History()
		if h.Err == nil {
			told = ""
		} else if text := h.Err.Error(); text != told && ctx.Err() == nil {
			log.Error("the history cannot be repacked; everything is kept", "err", text)
			told = text
		}
		if h.Waiting < saveSegments {
			continue
		}
		for _, s := range stores {
			if err := s.Save(ctx); err != nil {
				log.Warn("the store could not be saved", "err", err)
			}
		}
	}
}

// historyReport is what /status says of the sealed history.
type historyReport struct {
	Packs      int        `json:"packs"`
	Bytes      int64      `json:"bytes"`
	Waiting    int        `json:"segmentsToFold"`
	Superseded int        `json:"supersededPacks"`
	Repacks    int64      `json:"repacks"`
	Saved      int64      `json:"savedBytes"`
	Last       *time.Time `json:"lastRepack,omitempty"`
	Error      string     `json:"error,omitempty"`
}

func historyOf(j *journal.Journal) *historyReport {
	h := j.History()
	r := &historyReport{Packs: h.Packs, Bytes: h.Bytes, Waiting: h.Waiting, Superseded: h.Superseded, Repacks: h.Repacks, Saved: h.Saved}
	if !h.Last.IsZero() {
		r.Last = &h.Last
	}
	if h.Err != nil {
		r.Error = h.Err.Error()
	}
	return r
}

func historyMetrics(gauge func(name, help string, value func() float64), j *journal.Journal) {
	gauge("gitcd_history_packs", "Packs of sealed history.", func() float64 { return float64(j.History().Packs) })
	gauge("gitcd_history_bytes", "Bytes of these packs.", func() float64 { return float64(j.History().Bytes) })
	gauge("gitcd_history_segments_to_fold", "Sealed segments that are not folded yet.", func() float64 { return float64(j.History().Waiting) })
	gauge("gitcd_history_repacks_total", "Repacks since the start.", func() float64 { return float64(j.History().Repacks) })
	gauge("gitcd_history_saved_bytes_total", "Bytes that these repacks saved.", func() float64 { return float64(j.History().Saved) })
	gauge("gitcd_history_repack_failed", "1 if the last repack failed.", func() float64 {
		if j.History().Err != nil {
			return 1
		}
		return 0
	})
	gauge("gitcd_history_last_repack_timestamp_seconds", "When the last repack ended, 0 if there was none.", func() float64 {
		if last := j.History().Last; !last.IsZero() {
			return float64(last.Unix())
		}
		return 0
	})
}
