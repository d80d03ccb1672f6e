// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package mvcc

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// recovery brings back a store from its log.
type recovery struct {
	store     *Store
	state     state
	window    window
	committer *committer

	committed   place   // all up to here is in the history of head, or noted by the committer
	entered     session // the one in force there
	head        gitobj.ID
	uncommitted []*batch // the rest
	seq         uint64   // of the last record read or written
	saved       uint64   // up to which record the checkpoint goes
	bytes       int      // of records read
	keys        string   // where keys lie, as recorded
}

func (r *recovery) run(ctx context.Context) error {
	r.committer = newCommitter(r.store)
	if err := r.replay(); err != nil {
		return err
	}
	head, _ := r.store.log.Ref(r.store.o.Branch)
	if r.keys != "" && r.store.o.Keys == nil {
		return fmt.Errorf("%w: %s; open it with the same", ErrOtherKeys, r.keys)
	}
	switch {
	case r.state.number > 0 && r.keys != r.store.keysText() && r.store.o.ReadOnly:
		return r.store.otherKeys(r.keys) // who only reads begins no new line
	case r.state.number > 0 && r.keys != r.store.keysText():
		if err := r.adopt(ctx, head, r.state.rev); err != nil {
			return err
		}
	case r.state.number == 0 && r.store.o.Start.Revision > 1:
		if err := r.adopt(ctx, head, 0); err != nil {
			return err
		}
	case head == r.head:
	case r.continues(head):
		if err := r.step(ctx, head); err != nil {
			return err
		}
	case r.state.number == 0, !head.IsZero() && r.store.o.Epoch > r.state.session.epoch:
		if err := r.adopt(ctx, head, 0); err != nil {
			return err
		}
	default:
		if err := r.follow(ctx, head); err != nil {
			return err
		}
	}
	r.compact()
	if err := r.committer.stand(r.head); err != nil {
		return err
	}
	r.committer.at, r.committer.session = r.committed, r.entered
	return r.enter(ctx)
}

// replay reads the last checkpoint and the records since.
func (r *recovery) replay() error {
	payload, upTo, err := r.store.log.LastCheckpoint()
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	r.seq, r.saved = upTo, upTo
	if payload != nil {
		if err := r.load(payload); err != nil {
			return fmt.Errorf("read checkpoint: %w", err)
		}
	}
	return r.replayRecords()
}

// replayRecords reads and decodes in one goroutine what it applies in another:
// each takes about half of the time that a start takes.
func (r *recovery) replayRecords() error {
	records, stop := make(chan decoded, 64), make(chan struct{})
	read := make(chan error, 1)
	go func() {
		defer close(records)
		read <- r.store.log.Replay(func(seq uint64, record []byte) error {
			d := decode(record)
			d.seq = seq
			select {
			case records <- d:
				return d.err
			case <-stop:
				return errStopped
			}
		})
	}()
	var err error
	for d := range records {
		if err != nil {
			continue
		}
		r.seq = d.seq
		r.bytes += d.size
		if err = r.apply(&d); err != nil {
			err = fmt.Errorf("replay record %d: %w", d.seq, err)
			close(stop)
		}
	}
	if end := <-read; err == nil {
		return end
	}
	return err
}

// errStopped ends a replay whose outcome nobody waits for.
var errStopped = errors.New("stopped")

// decoded is a record: one of its kinds, or the error that keeps it from being one.
type decoded struct {
	seq     uint64
	size    int
	kind    byte
	batch   batchRecord
	commit  commitRecord
	session session
	keys    string
	err     error
}

func decode(record []byte) (out decoded) {
	d := newDecoder(record)
	out.size, out.kind = len(record), d.header()
	switch out.kind {
	case recordBatch:
		out.batch = d.batch()
	case recordCommit:
		out.commit = d.commit()
	case recordKeys:
		out.keys = d.string()
	case recordSession:
		out.session = d.session()
	default:
		d.fail("kind " + strconv.Itoa(int(out.kind)) + " is unknown; read it with the version of gitcd that wrote it")
	}
	out.err = d.end()
	return out
}

func (r *recovery) record(record []byte) error {
	d := decode(record)
	return r.apply(&d)
}

func (r *recovery) apply(d *decoded) error {
	if d.err != nil {
		return d.err
	}
	switch d.kind {
	case recordBatch:
		return r.batch(d.batch)
	case recordCommit:
		if !d.commit.upTo.before(r.committed) {
			r.commit(d.commit)
		}
	case recordKeys:
		r.keys = d.keys
	case recordSession:
		if d.session.number != r.state.number+1 {
			return fmt.Errorf("session %d follows batch %d: %w", d.session.number, r.state.number, ErrBadRecord)
		}
		r.session(d.session)
	}
	return nil
}

func (r *recovery) batch(b batchRecord) error {
	if b.number != r.state.number+1 {
		return fmt.Errorf("batch %d follows batch %d: %w", b.number, r.state.number, ErrBadRecord)
	}
	r.state.number, r.state.time = b.number, b.time
	for i := range b.txns {
		for j := range b.txns[i].ops {
			r.op(&b.txns[i].ops[j])
		}
	}
	r.uncommitted = append(r.uncommitted, &batch{record: b})
	return nil
}

func (r *recovery) op(o *op) {
	if o.kind == opDelete && r.state.get(o.key) == nil {
		r.state.place(o)
		r.state.rev = max(r.state.rev, o.mod)
		return
	}
	if ev, changed := r.state.apply(o); changed {
		r.window.add(ev)
	}
}

// commit drops what is committed from what is to be followed.
func (r *recovery) commit(c commitRecord) {
	r.committed, r.head = c.upTo, c.head
	clear(r.committer.dirty)
	r.committer.full = false
	for len(r.uncommitted) > 0 {
		b := r.uncommitted[0]
		last := place{batch: b.number(), txn: len(b.record.txns) - 1}
		if b.session != nil {
			last.txn = 0
		}
		if c.upTo.before(last) {
			return
		}
		if b.session != nil {
			r.entered = *b.session
		}
		r.uncommitted = r.uncommitted[1:]
	}
}

func (b *batch) number() uint64 {
	if b.session != nil {
		return b.session.number
	}
	return b.record.number
}

func (r *recovery) session(s session) {
	r.state.number, r.state.time, r.state.session = s.number, max(r.state.time, s.time), s
	r.uncommitted = append(r.uncommitted, &batch{session: &s})
}

// compact frees what a compaction among the records has made unreachable.
func (r *recovery) compact() {
	rev := r.state.compacted
	var gone []string
	for n := r.window.first; n < r.window.next; n++ {
		ev := r.window.at(n)
		if ev.after.mod > rev {
			break
		}
		ev.after.prev.Store(nil)
		if ev.after.deleted {
			gone = append(gone, ev.key)
		}
	}
	r.state.forget(gone, rev)
	r.window.cut(rev)
}

// continues says whether a commit does nothing but take the branch again: it is
// on the head and has its tree.
func (r *recovery) continues(head gitobj.ID) bool {
	if head.IsZero() || r.head.IsZero() {
		return false
	}
	theirs, err := r.committer.commitOf(head)
	if err != nil || len(theirs.Parents) != 1 || theirs.Parents[0] != r.head {
		return false
	}
	ours, err := r.committer.commitOf(r.head)
	return err == nil && ours.Tree == theirs.Tree
}

// step records that the head is one further, though nothing was committed here.
func (r *recovery) step(ctx context.Context, head gitobj.ID) error {
	r.head = head
	record := commitRecord{upTo: r.committed, head: head}.encode()
	var err error
	if r.seq, err = r.store.log.Append(ctx, []Frame{{Record: record}}, true); err != nil {
		return fmt.Errorf("record the head: %w", err)
	}
	return nil
}

// save checkpoints what was adopted: the records before it are another line's.
func (r *recovery) save(ctx context.Context) error {
	p := payload{
		view: r.state.view, window: r.window, leases: r.state.leases.list(), number: r.state.number, time: r.state.time,
		session: r.state.session, at: r.committed, head: r.head, keys: r.keys,
	}
	if err := r.store.log.Checkpoint(ctx, p.encode(), r.seq); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	r.saved = r.seq
	return nil
}

// enter records who writes from now on, if that is somebody else than before.
func (r *recovery) enter(ctx context.Context) error {
	if text := r.store.keysText(); text != r.keys {
		seq, err := r.store.log.Append(ctx, []Frame{{Record: keysRecord(text)}}, true)
		if err != nil {
			return fmt.Errorf("record where keys lie: %w", err)
		}
		r.seq, r.keys = seq, text
	}
	o := r.store.o
	s := session{epoch: o.Epoch, name: o.Author.Name, email: o.Author.Email, holder: o.Holder}
	if r.state.session.number > 0 && r.state.session.same(s) {
		return nil
	}
	s.number = r.state.number + 1
	s.time = max(r.state.time, r.store.clock.Now().UnixNano())
	s.take = o.Epoch != 0 && o.Epoch != r.state.session.epoch && !r.taken(o)
	var err error
	if r.seq, err = r.store.log.Append(ctx, []Frame{{Record: s.encode()}}, true); err != nil {
		return fmt.Errorf("record the session: %w", err)
	}
	r.session(s)
	return nil
}

// taken says whether the head already says that this writer has the branch.
func (r *recovery) taken(o Options) bool {
	if r.head.IsZero() {
		return false
	}
	commit, err := r.committer.commitOf(r.head)
	if err != nil {
		return false
	}
	epoch, _ := commit.Trailer("Epoch")
	holder, _ := commit.Trailer("Holder")
	return epoch == strconv.FormatInt(o.Epoch, 10) && holder == o.Holder
}
