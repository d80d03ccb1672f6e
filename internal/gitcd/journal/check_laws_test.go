// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

const lawDir = "/r.git"

// blob returns a frame with one blob, and one with a commit of the empty tree.
func blob(text string) Frame {
	return Frame{Record: []byte(text), Objects: []Object{{Kind: gitobj.KindBlob, ID: gitobj.Hash(gitobj.KindBlob, []byte(text)), Data: []byte(text)}}}
}

func write(t *testing.T, m *vfs.Mem, frames ...Frame) {
	t.Helper()
	j, err := Open(t.Context(), m, lawDir, Options{PublishInterval: -1, SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if _, err := j.Append(t.Context(), []Frame{f}, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// forge changes the last batch's record and makes its checksum right again.
func forge(t *testing.T, m *vfs.Mem, edit func(record []byte)) {
	t.Helper()
	name := segmentName(lawDir, 1)
	f, err := m.Open(name, vfs.Write)
	if err != nil {
		t.Fatal(err)
	}
	size, err := f.Size()
	if err != nil {
		t.Fatal(err)
	}
	var last *batch
	for off := int64(pack.HeaderSize); ; off = last.end {
		b, err := readBatch(f, off, size, make([]byte, 4096))
		if err != nil {
			break
		}
		last = b
	}
	content, _, err := readRecord(f, last.off, size)
	if err != nil {
		t.Fatal(err)
	}
	content = slices.Clone(content)
	edit(content)
	binary.BigEndian.PutUint32(content[sumAt:], crc32.Checksum(content[chainAt:], castagnoli))
	entry := pack.AppendEntry(nil, pack.Entry{Type: pack.Type(gitobj.KindBlob), Size: int64(len(content))})
	if err := m.Overwrite(name, last.off, pack.AppendStored(entry, content)); err != nil {
		t.Fatal(err)
	}
}

// TestCheckNamesTheLaw breaks each law that a stopped repository can show, and expects its name, the file and the mend.
func TestCheckNamesTheLaw(t *testing.T) {
	someone := gitobj.Signature{Name: "x", Email: "x@example.invalid", When: time.Unix(1, 0)}
	orphan := gitobj.Commit{Tree: gitobj.ID{1}, Author: someone, Committer: someone, Message: "no tree\n"}.Encode()
	commit := gitobj.Hash(gitobj.KindCommit, orphan)
	for law, c := range map[string]struct {
		harm func(t *testing.T, m *vfs.Mem)
		file string
	}{
		"J1": {func(t *testing.T, m *vfs.Mem) {
			t.Helper()
			body := binary.BigEndian.AppendUint64(nil, 99)
			if err := vfs.WriteFile(m, path.Join(lawDir, checkpointFile), sealSmall(checkpointMagic, body), true); err != nil {
				t.Fatal(err)
			}
		}, checkpointFile},
		"J2": {func(t *testing.T, m *vfs.Mem) {
			t.Helper()
			forge(t, m, func(r []byte) { binary.BigEndian.PutUint32(r[recordHeader+24:], 1<<20) })
		}, "seg-00000001.open at byte"},
		"J3": {func(t *testing.T, m *vfs.Mem) {
			t.Helper()
			if err := m.Overwrite(segmentName(lawDir, 1), 60, []byte{0xff}); err != nil {
				t.Fatal(err)
			}
		}, "seg-00000001.open at byte"},
		"J4": {func(t *testing.T, m *vfs.Mem) {
			t.Helper()
			forge(t, m, func(r []byte) { r[chainAt]++ })
		}, "seg-00000001.open at byte"},
		"J6": {func(t *testing.T, m *vfs.Mem) {
			t.Helper()
			write(t, m, Frame{
				Objects: []Object{{Kind: gitobj.KindCommit, ID: commit, Data: orphan}},
				Refs:    []RefUpdate{{Name: "refs/heads/x", New: commit}},
			})
		}, "refs/heads/x reaches"},
		"J7": {func(t *testing.T, m *vfs.Mem) {
			t.Helper()
			f := blob("of a ref")
			f.Refs = []RefUpdate{{Name: "refs/tags/x", New: f.Objects[0].ID}}
			write(t, m, f)
			if err := m.MakeDir(lawDir + "/refs/tags"); err != nil {
				t.Fatal(err)
			}
			if err := vfs.WriteFile(m, lawDir+"/refs/tags/x", []byte(gitobj.ID{9}.String()+"\n"), true); err != nil {
				t.Fatal(err)
			}
		}, "refs/tags/x"},
		"J9": {func(t *testing.T, m *vfs.Mem) {
			t.Helper()
			f := blob("one")
			f.Objects[0].Data = []byte("two")
			f.Objects[0].ID = gitobj.ID{7}
			write(t, m, f)
		}, "seg-00000001.open at byte"},
	} {
		m := &vfs.Mem{}
		write(t, m, blob("first"), blob("second"), blob("third"))
		if err := Check(m, lawDir, func(law, where string) { t.Errorf("before: %s: %s", law, where) }); err != nil {
			t.Fatal(err)
		}
		c.harm(t, m)
		var found []string
		if err := Check(m, lawDir, func(law, where string) { found = append(found, law+": "+where) }); err != nil {
			t.Fatal(err)
		}
		named := slices.ContainsFunc(found, func(f string) bool {
			return strings.HasPrefix(f, law+": ") && strings.Contains(f, c.file)
		})
		if !named {
			t.Errorf("%s is broken; the check says %q", law, found)
		}
		for _, f := range found {
			if !strings.Contains(f, "; ") {
				t.Errorf("%q does not say what to do", f)
			}
		}
	}
}

// TestJ5CheckRefuses lets nobody believe what is said of a repository that is being written to.
func TestJ5CheckRefuses(t *testing.T) {
	m := &vfs.Mem{}
	write(t, m, blob("first"))
	j, err := Open(t.Context(), m, lawDir, Options{PublishInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), vfs.NewOverlay(m), lawDir, Options{PublishInterval: -1})
	if where, ok := errors.AsType[*Error](err); !ok || !strings.Contains(where.Hint, "stop that one first") {
		t.Errorf("have %v", err)
	}
	if err := j.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
