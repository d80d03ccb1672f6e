// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package branch_test

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/branch"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/mvcc"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// found returns what the check says of a disk, which it must leave as it is.
func found(t *testing.T, m *vfs.Mem) []string {
	t.Helper()
	before := m.Files()
	var out []string
	if err := branch.Check(t.Context(), m, "/r", nil, func(law, where string) { out = append(out, law+": "+where) }); err != nil {
		t.Fatal(err)
	}
	for name, data := range m.Files() {
		if !strings.HasSuffix(name, "/lock") && string(before[name]) != string(data) {
			t.Errorf("the check has changed %s", name)
		}
	}
	return out
}

// TestCheckNamesTheLaw breaks what the store's records say, in a journal that is sound.
func TestCheckNamesTheLaw(t *testing.T) {
	for law, frame := range map[string]func(head gitobj.ID, commit gitobj.Commit) journal.Frame{
		"M6": func(gitobj.ID, gitobj.Commit) journal.Frame {
			return journal.Frame{Record: []byte("\x01\x01neither number nor time")}
		},
		"M7": func(head gitobj.ID, commit gitobj.Commit) journal.Frame { // a commit that no change leads to
			commit.Parents, commit.Message = []gitobj.ID{head}, "forged\n"
			commit.Tree = gitobj.Hash(gitobj.KindTree, nil)
			data := commit.Encode()
			forged := gitobj.Hash(gitobj.KindCommit, data)
			record := binary.AppendUvarint([]byte{1, 2}, 1000)
			record = append(binary.AppendVarint(record, 0), forged[:]...)
			return journal.Frame{
				Record:  record,
				Objects: []journal.Object{{Kind: gitobj.KindTree, ID: commit.Tree}, {Kind: gitobj.KindCommit, ID: forged, Data: data}},
				Refs:    []journal.RefUpdate{{Name: "refs/heads/x", Old: head, New: forged}},
			}
		},
		"M7: the records end": func(head gitobj.ID, _ gitobj.Commit) journal.Frame { // a branch that was moved past the store
			return journal.Frame{Refs: []journal.RefUpdate{{Name: "refs/heads/x", Old: head}}}
		},
	} {
		m := &vfs.Mem{}
		b, err := branch.Open(t.Context(), m, "/r", journal.Options{PublishInterval: -1}, mvcc.Options{Branch: "refs/heads/x", Epoch: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"/registry/pods/d/a", "/registry/pods/d/b", "/registry/leases/d/x", "/registry/health/x"} {
			if _, err := b.Store.Txn(t.Context(), put(key, `{"a":1}`)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if have := found(t, m); len(have) > 0 {
			t.Fatalf("before: %q", have)
		}
		j, err := journal.Open(t.Context(), m, "/r", journal.Options{PublishInterval: -1})
		if err != nil {
			t.Fatal(err)
		}
		head, _ := j.Ref("refs/heads/x")
		_, data, err := j.Get(head)
		if err != nil {
			t.Fatal(err)
		}
		commit, err := gitobj.DecodeCommit(data)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Append(t.Context(), []journal.Frame{frame(head, commit)}, true); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		have := found(t, m)
		if len(have) == 0 || !strings.HasPrefix(have[0], law) || !strings.Contains(have[0], "; ") {
			t.Errorf("%s is broken; the check says %q", law, have)
		}
	}
}
