// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"io/fs"
	"path"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// settle makes durable what an earlier process has left, before anyone reads
// it. That process was killed perhaps, and its last batches and names are in the
// operating system's memory alone: they are synced. Or a sync of its failed:
// then the system may show what it will never write, and a sync says nothing of
// that, so the segment is written once more, beside itself.
func (j *Journal) settle() error {
	if j.opts.NoSync {
		return nil
	}
	seg := j.active()
	hint := func(name string, err error) error {
		return &Error{Op: "open", File: name, Offset: -1, Err: err, Hint: hintDisk}
	}
	mark := path.Join(j.dir, failedFile)
	marked, err := vfs.Exists(j.fs, mark)
	if err != nil {
		return hint(mark, err)
	}
	if marked {
		err = rewrite(j.fs, seg)
	} else {
		err = seg.file.Sync()
	}
	if err != nil {
		return hint(seg.name, err)
	}
	for _, dir := range []string{ownDir, packDir, journalDir} {
		if err := j.fs.SyncDir(path.Join(j.dir, dir)); err != nil {
			return hint(path.Join(j.dir, dir), err)
		}
	}
	j.syncs.segment, j.syncs.offset = seg.segment, seg.end
	if marked {
		if err := j.fs.Remove(mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return hint(mark, err)
		}
	}
	return nil
}

// rewrite exchanges a segment's file for a new one with the same content.
func rewrite(fsys vfs.FS, seg *segment) (err error) {
	tmp := seg.name + ".tmp"
	f, err := fsys.Open(tmp, vfs.Create)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	buf := make([]byte, windowSize)
	for at := int64(0); at < seg.end; at += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), seg.end-at)]
		if err := readAt(seg.file, buf, at); err != nil {
			return err
		}
		if _, err := f.WriteAt(buf, at); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, seg.name); err != nil {
		return err
	}
	old := seg.file
	seg.file = f
	seg.ahead.begin(room{}, seg.end)
	return old.Close()
}

// mark leaves a note for the next process that a sync has failed. It need not
// be durable: what it warns of goes with the operating system's memory, as it does.
func (j *Journal) mark(why error) {
	if err := vfs.WriteFile(j.fs, path.Join(j.dir, failedFile), []byte(why.Error()+"\n"), false); err != nil {
		return // the disk takes nothing any more
	}
}
