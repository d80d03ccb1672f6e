// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"fmt"
	"path"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// fuzzed returns a disk with a journal, and the names of its open segment and of its small files.
func fuzzed(f *testing.F) (m *vfs.Mem, names map[byte]string) {
	f.Helper()
	m = &vfs.Mem{}
	j, err := Open(f.Context(), m, lawDir, Options{PublishInterval: -1, SegmentSize: 4 << 10})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 20 {
		b := blob(fmt.Sprintf("%0300d", i))
		b.Refs = []RefUpdate{{Name: fmt.Sprintf("refs/tags/%d", i), New: b.Objects[0].ID}}
		if _, err := j.Append(f.Context(), []Frame{b}, true); err != nil {
			f.Fatal(err)
		}
	}
	if err := j.Checkpoint(f.Context(), []byte("state"), 10); err != nil {
		f.Fatal(err)
	}
	name := j.active().name
	if err := j.Close(f.Context()); err != nil {
		f.Fatal(err)
	}
	return m, map[byte]string{
		0: name, 1: path.Join(lawDir, stateFile), 2: path.Join(lawDir, syncedFile), 3: path.Join(lawDir, checkpointFile),
		4: path.Join(lawDir, foreignFile), 5: path.Join(lawDir, packedRefsFile), 6: path.Join(lawDir, formatFile),
	}
}

// FuzzRecovery puts any content into a file of a journal. It opens, and then
// everything that it yields can be read, or it says what is wrong and where.
func FuzzRecovery(f *testing.F) {
	disk, names := fuzzed(f)
	files := disk.Files()
	for which, name := range names {
		f.Add(which, bytes.TrimRight(files[name], "\x00"))
	}
	f.Fuzz(func(t *testing.T, which byte, content []byte) {
		name, ok := names[which%7]
		if !ok {
			return
		}
		m := disk.CrashClone(vfs.Kill, nil)
		if len(content) < len(files[name]) && which%7 == 0 {
			content = append(content, make([]byte, len(files[name])-len(content))...)
		}
		if err := vfs.WriteFile(m, name, content, true); err != nil {
			t.Fatal(err)
		}
		if err := Check(m.CrashClone(vfs.Kill, nil), lawDir, func(string, string) {}); err != nil {
			t.Logf("check: %v", err)
		}
		j, err := Open(t.Context(), m, lawDir, Options{PublishInterval: -1, SegmentSize: 4 << 10})
		if err != nil {
			return
		}
		last := uint64(0)
		if err := j.Records(func(seq uint64, _ []byte, _ []RefUpdate) error { last = seq; return nil }); err == nil && last > 0 && last != j.Seq() {
			t.Fatalf("records end at %d, the journal at %d", last, j.Seq())
		}
		if _, err := j.Append(t.Context(), []Frame{blob("more")}, true); err != nil {
			t.Logf("append: %v", err)
		}
		if err := j.Close(t.Context()); err != nil {
			t.Logf("close: %v", err)
		}
	})
}
