// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package branch joins a journal to the stores of the branches that are
// written in it, so that neither knows the other: one repository directory, one
// journal, a store for each branch.
//
//	mvcc.Store ─► log 0 ─┐                              ┌─► record          branch 0
//	mvcc.Store ─► log 1 ─┼─► Mux ─► journal.Journal ────┼─► 0x00 1 record   branch 1
//	mvcc.Store ─► log 2 ─┘                              └─► 0x00 2 record   branch 2
//
// A journal has one stream of records and one checkpoint. The first branch of a
// repository is number 0, and its records lie there as they are: a repository
// with one branch has nothing but them. Records of any other begin with a zero
// byte and the branch's number. As soon as there is a second branch, the
// journal's checkpoint holds a table of all: name, last checkpoint, up to which
// frame it goes, and, of a branch that is not open, the records behind it.
//
// # Laws
//
//	B1 Nothing added.  A single branch's frames go to the journal as they are; numbers are the journal's.
//	B2 Store last.     On Close the stores end before the journal, so that their last commits are kept.
//	B3 To each its own. A store gets its own records, all that its checkpoint does not cover, once and in order.
//	B4 Named first.    A branch's number is durable in the table before its first record is written.
//	B5 None is lost.   The journal's checkpoint never covers a record of a branch whose own checkpoint does not,
//	                   unless the table holds that record.
//	B6 None holds back. A branch whose records are old is asked to save; one that is not open has them in the table.
package branch

import (
	"context"
	"errors"
	"fmt"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// Branch is a repository with the one branch that is written in it.
type Branch struct {
	Journal *journal.Journal
	Store   *mvcc.Store
}

// Open opens the repository in dir and the store of o.Branch.
func Open(ctx context.Context, fsys vfs.FS, dir string, jo journal.Options, o mvcc.Options) (*Branch, error) {
	jo.Keep = Keep
	j, err := journal.Open(ctx, fsys, dir, jo)
	if err != nil {
		return nil, err
	}
	s, err := OpenStore(ctx, j, o)
	if err != nil {
		return nil, errors.Join(err, j.Close(context.WithoutCancel(ctx)))
	}
	return &Branch{Journal: j, Store: s}, nil
}

// Close commits and keeps everything.
func (b *Branch) Close(ctx context.Context) error {
	return errors.Join(b.Store.Close(ctx), b.Journal.Close(ctx))
}

// Repack makes the history as small as it gets while clients go on.
func (b *Branch) Repack(ctx context.Context) error { return Repack(ctx, b.Journal, b.Store) }

// Repack makes the history of a journal as small as it gets: what its stores have saved needs no records any more.
func Repack(ctx context.Context, j *journal.Journal, stores ...*mvcc.Store) error {
	for _, s := range stores {
		if err := s.Save(ctx); err != nil {
			return fmt.Errorf("repack: %w", err)
		}
	}
	if err := j.Publish(ctx); err != nil { // seals what is full
		return fmt.Errorf("repack: %w", err)
	}
	_, err := j.Repack(ctx, journal.Repacking{All: true})
	return err
}

// OpenStore opens the store of o.Branch alone in an open journal.
func OpenStore(ctx context.Context, j *journal.Journal, o mvcc.Options) (*mvcc.Store, error) {
	s, err := OpenStores(ctx, j, []mvcc.Options{o})
	if err != nil {
		return nil, err
	}
	return s.Each[0], nil
}

// Stores are the stores of the branches that are open in one journal.
type Stores struct {
	// Each has a store for each of the options that they were opened with, in their order.
	Each []*mvcc.Store
	mux  *mux
}

// OpenStores opens the stores of several branches in an open journal. The
// branch that a repository was first served with stays its first one: in a
// repository that had only one, it has to be the first of the options.
func OpenStores(ctx context.Context, j *journal.Journal, options []mvcc.Options) (*Stores, error) {
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = o.Branch
	}
	m, err := newMux(j, names)
	if err != nil {
		return nil, fmt.Errorf("read which branches the journal has: %w", err)
	}
	s := &Stores{mux: m}
	for _, o := range options {
		store, err := m.open(ctx, o)
		if err != nil {
			return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
		}
		s.Each = append(s.Each, store)
	}
	return s, nil
}

// Close commits and keeps everything. The journal stays open.
func (s *Stores) Close(ctx context.Context) error {
	errs := []error{}
	s.mux.stopSaving()
	for _, store := range s.Each {
		errs = append(errs, store.Close(ctx))
	}
	return errors.Join(errs...)
}
