// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package logtest is what every mvcc.Log has to pass, in memory or on disk.
//
// # Laws
//
//	T1 In order.      Replay yields what Append took, in order, and nothing that a checkpoint covers.
//	T2 Whole or not.  A ref that is not where it should be keeps the whole Append out.
//	T3 There at once. An object can be had as soon as Append returned, durable or not.
//	T4 Kept.          All of it is there after the log is opened again.
package logtest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
)

// Run tests a log. open returns it the first time, and afterwards ends it and opens it again.
func Run(t *testing.T, open func(*testing.T) mvcc.Log) {
	t.Helper()
	l := &log{t: t, reopen: open, Log: open(t)}
	l.appendAndReplay()
	l.refs()
	l.checkpoint()
}

type log struct {
	t      *testing.T
	reopen func(*testing.T) mvcc.Log
	mvcc.Log
	seqs []uint64 // of the records
	want []string
}

func (l *log) fatal(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

func blob(s string) mvcc.Object {
	return mvcc.Object{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, []byte(s)), Data: []byte(s)}
}

func (l *log) put(frames []mvcc.Frame, durable bool) {
	l.t.Helper()
	seq, err := l.Append(l.t.Context(), frames, durable)
	l.fatal(err)
	if n := len(l.seqs); n > 0 && seq <= l.seqs[n-1] {
		l.t.Fatalf("record number %d after %d", seq, l.seqs[n-1])
	}
	l.seqs = append(l.seqs, seq)
	l.want = append(l.want, string(frames[len(frames)-1].Record))
}

func (l *log) has(o mvcc.Object) {
	l.t.Helper()
	kind, data, err := l.Get(o.ID)
	if err != nil || kind != o.Kind || string(data) != string(o.Data) {
		l.t.Fatalf("object %s is %s %q, %v; want %s %q", o.ID, kind, data, err, o.Kind, o.Data)
	}
}

// replays compares the records after the checkpoint, the last n of all.
func (l *log) replays(n int) {
	l.t.Helper()
	var have []string
	var seqs []uint64
	l.fatal(l.Replay(func(seq uint64, record []byte) error {
		have, seqs = append(have, string(record)), append(seqs, seq)
		return nil
	}))
	if want := l.want[len(l.want)-n:]; !slices.Equal(have, want) {
		l.t.Fatalf("records %q, want %q", have, want)
	}
	if want := l.seqs[len(l.seqs)-n:]; !slices.Equal(seqs, want) {
		l.t.Fatalf("record numbers %d, want %d", seqs, want)
	}
}

func (l *log) appendAndReplay() {
	l.t.Helper()
	l.replays(0)
	if payload, _, err := l.LastCheckpoint(); err != nil || payload != nil {
		l.t.Fatalf("a new log has checkpoint %q, %v", payload, err)
	}
	var objects []mvcc.Object
	for i := range 10 {
		o := blob(fmt.Sprintf("object %d", i))
		objects = append(objects, o)
		l.put([]mvcc.Frame{{Record: fmt.Appendf(nil, "record %d", i), Objects: []mvcc.Object{o}}}, i%3 == 0)
		l.has(o)
	}
	_, err := l.Append(l.t.Context(), []mvcc.Frame{{Objects: []mvcc.Object{blob("alone")}}}, false)
	l.fatal(err)
	_, err = l.Append(l.t.Context(), nil, true)
	l.fatal(err)
	for range 2 {
		l.replays(10)
		for _, o := range append(objects, blob("alone")) {
			l.has(o)
		}
		if _, _, err := l.Get(blob("nowhere").ID); err == nil {
			l.t.Fatal("an object that was never written is there")
		}
		l.Log = l.reopen(l.t)
	}
}

func (l *log) refs() {
	l.t.Helper()
	const name = "refs/heads/heavens/x"
	// A ref points to a commit, whose tree is there.
	commit := func(message string) mvcc.Object {
		data := gitobj.Commit{Tree: gitobj.Hash(gitobj.KindTree, nil), Message: message}.Encode()
		return mvcc.Object{Kind: gitobj.KindCommit, ID: gitobj.Hash(gitobj.KindCommit, data), Data: data}
	}
	tree := mvcc.Object{Kind: gitobj.KindTree, ID: gitobj.Hash(gitobj.KindTree, nil)}
	one, two := commit("one\n"), commit("two\n")
	if id, ok := l.Ref(name); ok {
		l.t.Fatalf("ref is at %s before it was made", id)
	}
	l.put([]mvcc.Frame{{
		Record: []byte("ref"), Objects: []mvcc.Object{tree, one}, Refs: []mvcc.RefUpdate{{Name: name, New: one.ID}},
	}}, true)
	wrong := []mvcc.Frame{
		{Record: []byte("lost"), Objects: []mvcc.Object{blob("lost")}},
		{Objects: []mvcc.Object{two}, Refs: []mvcc.RefUpdate{{Name: name, Old: two.ID, New: two.ID}}},
	}
	if _, err := l.Append(l.t.Context(), wrong, true); err == nil {
		l.t.Fatal("a ref moved from where it was not")
	}
	for range 2 {
		if id, ok := l.Ref(name); !ok || id != one.ID {
			l.t.Fatalf("ref is at %s, want %s", id, one.ID)
		}
		if _, _, err := l.Get(blob("lost").ID); err == nil {
			l.t.Fatal("half of a refused append is there")
		}
		l.replays(11)
		l.Log = l.reopen(l.t)
	}
}

func (l *log) checkpoint() {
	l.t.Helper()
	l.put([]mvcc.Frame{{Record: []byte("covered")}}, true)
	upTo := l.seqs[len(l.seqs)-1]
	l.put([]mvcc.Frame{{Record: []byte("not covered")}}, false)
	l.fatal(l.Checkpoint(l.t.Context(), []byte("payload"), upTo))
	l.put([]mvcc.Frame{{Record: []byte("later")}}, true)
	for range 2 {
		payload, goesTo, err := l.LastCheckpoint()
		l.fatal(err)
		if string(payload) != "payload" || goesTo != upTo {
			l.t.Fatalf("checkpoint is %q up to %d, want up to %d", payload, goesTo, upTo)
		}
		l.replays(2)
		l.Log = l.reopen(l.t)
	}
	stop := errors.New("stop")
	if err := l.Replay(func(uint64, []byte) error { return stop }); !errors.Is(err, stop) {
		l.t.Fatalf("replay went on: %v", err)
	}
}
