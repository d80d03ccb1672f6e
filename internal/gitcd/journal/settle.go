// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import "path"

// settle makes durable what an earlier process has left. It was killed perhaps,
// and the last batches and names are in the operating system's memory alone:
// what is read from now on must not go if the power does.
func (j *Journal) settle() error {
	seg := j.active()
	if !j.opts.NoSync {
		if err := seg.file.Sync(); err != nil {
			return &Error{Op: "open", File: seg.name, Offset: -1, Err: err, Hint: hintDisk}
		}
		for _, dir := range []string{ownDir, packDir, journalDir} {
			if err := j.fs.SyncDir(path.Join(j.dir, dir)); err != nil {
				return &Error{Op: "open", File: path.Join(j.dir, dir), Offset: -1, Err: err, Hint: hintDisk}
			}
		}
		j.syncs.segment, j.syncs.offset = seg.segment, seg.end
	}
	return nil
}
