// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

func drawChange(t *rapid.T) Change {
	return Change{
		Key: rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "key"), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
		Revision: rapid.Int64Range(2, 1<<60).Draw(t, "revision"), Sub: rapid.Int64Range(0, 1<<30).Draw(t, "sub"),
		Create: rapid.Int64Range(2, 1<<60).Draw(t, "create"), Version: rapid.Int64Range(1, 1<<60).Draw(t, "version"),
		Lease: rapid.Int64().Draw(t, "lease"),
	}
}

// TestS1SameBytes writes what etcd's own types write, and reads it again.
func TestS1SameBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawChange(t)
		want, err := proto.Marshal(&mvccpb.KeyValue{
			Key: c.Key, Value: c.Value, CreateRevision: c.Create, ModRevision: c.Revision, Version: c.Version, Lease: c.Lease,
		})
		if err != nil {
			t.Fatal(err)
		}
		have := appendKeyValue(nil, &c)
		if !bytes.Equal(have, want) {
			t.Fatalf("%x, etcd writes %x", have, want)
		}
		var again Change
		if err := parseKeyValue(have, &again); err != nil {
			t.Fatal(err)
		}
		again.Revision, again.Sub, _, err = parseRevision(appendRevision(nil, c.Revision, c.Sub, false))
		if diff := cmp.Diff(c, again, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Fatalf("%v, -wrote +read:\n%s", err, diff)
		}
	})
}

// TestS1SameHash hashes changes by the sums of their values, and as they are.
func TestS1SameHash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole, summed := NewHashKV(), NewHashKV()
		for range rapid.IntRange(0, 5).Draw(t, "changes") {
			c := drawChange(t)
			if rapid.IntRange(0, 3).Draw(t, "large") == 0 {
				c.Value = bytes.Repeat(append(c.Value, 'x'), rapid.IntRange(1, 100_000).Draw(t, "times"))
			}
			if c.Deleted = rapid.Bool().Draw(t, "deleted"); c.Deleted {
				c = Change{Revision: c.Revision, Sub: c.Sub, Deleted: true, Key: c.Key}
			}
			whole.Add(&c)
			if !c.Deleted {
				c.Summed, c.Sum, c.Size, c.Value = true, crc32.Checksum(c.Value, castagnoli), int64(len(c.Value)), nil
			}
			summed.Add(&c)
		}
		if whole.Sum() != summed.Sum() {
			t.Fatalf("%x by sums, %x as they are", summed.Sum(), whole.Sum())
		}
	})
}

// TestJoinSums joins the sums of parts of all lengths that are looked up, and of others.
func TestJoinSums(t *testing.T) {
	text := make([]byte, 3<<20)
	for i := range text {
		text[i] = byte(i * i >> 3)
	}
	a := crc32.Checksum(text[:7], castagnoli)
	for n := 0; n < len(text)-7; n += 1 + n/7 {
		b := text[7 : 7+n]
		if want, have := crc32.Update(a, castagnoli, b), joinSums(a, crc32.Checksum(b, castagnoli), int64(n)); want != have {
			t.Fatalf("%d bytes: %x, want %x", n, have, want)
		}
	}
}

// history is a few changes, with a compaction at revision 4.
var history = []Change{
	{Revision: 2, Key: []byte("/a"), Value: []byte("1"), Create: 2, Version: 1},
	{Revision: 3, Sub: 1, Key: []byte("/l"), Value: []byte("1"), Create: 3, Version: 1, Lease: 7},
	{Revision: 4, Key: []byte("/b"), Deleted: true},
	{Revision: 5, Key: []byte("/a"), Value: []byte("2"), Create: 2, Version: 2},
	{Revision: 5, Sub: 1, Key: []byte("/c"), Create: 5, Version: 1},
}

func changes(list []Change) Changes {
	return func(_ context.Context, yield func(*Change) error) error {
		for i := range list {
			if err := yield(&list[i]); err != nil {
				return err
			}
		}
		return nil
	}
}

func sample() *State {
	return &State{
		Revision: 5, Compacted: 4, Index: 9, Term: 2, ClusterVersion: "3.7.0", StorageVersion: "3.7.0",
		Leases: []Lease{{ID: 7, TTL: 1000, Remaining: 500}}, Alarms: []Alarm{{Member: 1 << 63, Kind: 1}},
		Member: Member{ID: 1 << 63, Name: "x", PeerURLs: []string{"http://x"}},
	}
}

// save writes a sample into a file, with its sum.
func save(t *testing.T, list []Change) string {
	t.Helper()
	spool, err := OpenSpool(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := spool.Write(t.Context(), sample(), changes(list))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var size int64
	if err := f.Stream(func(n int64) { size = n }, &out); err != nil {
		t.Fatal(err)
	}
	if int64(out.Len()) != size+32 || size%512 != 0 {
		t.Errorf("%d bytes, %d were announced", out.Len(), size)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(spool.dir); err != nil || len(left) != 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
	name := filepath.Join(t.TempDir(), "s.db")
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, name string) (s State, list []Change) {
	t.Helper()
	from, err := Open(name, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	err = from.Changes(t.Context(), func(c *Change) error {
		own := *c
		own.Key, own.Value = bytes.Clone(c.Key), bytes.Clone(c.Value)
		list = append(list, own)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return from.State, list
}

// TestRead reads what Write wrote, and drops what a compaction that etcd had only begun left behind.
func TestRead(t *testing.T) {
	s, list := read(t, save(t, history))
	want := sample()
	if diff := cmp.Diff(*want, s, cmpopts.IgnoreFields(State{}, "Member", "ClusterVersion")); diff != "" {
		t.Errorf("-wrote +read:\n%s", diff)
	}
	if diff := cmp.Diff(history, list, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-wrote +read:\n%s", diff)
	}
	more := append([]Change{
		{Revision: 1, Key: []byte("/a"), Value: []byte("0"), Create: 1, Version: 1},
		{Revision: 1, Sub: 1, Key: []byte("/b"), Value: []byte("0"), Create: 1, Version: 1},
		{Revision: 1, Sub: 2, Key: []byte("/gone"), Value: []byte("0"), Create: 1, Version: 1},
		{Revision: 2, Sub: 1, Key: []byte("/gone"), Deleted: true},
	}, history...)
	if _, list := read(t, save(t, more)); cmp.Diff(history, list, cmpopts.EquateEmpty()) != "" {
		t.Errorf("after half a compaction:\n%s", cmp.Diff(history, list, cmpopts.EquateEmpty()))
	}
}

// TestSpoolIsCleaned opens a spool that a crash has left something in.
func TestSpoolIsCleaned(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"1.snapshot", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenSpool(dir); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "other" {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestS3WholeOrNot changes bytes all over a snapshot: it does not open, or, without its sum, at worst it says so while it is read.
func TestS3WholeOrNot(t *testing.T) {
	data, err := os.ReadFile(save(t, history))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "bad.db")
	for off := 0; off < len(data); off += 97 {
		bad := bytes.Clone(data)
		bad[off] ^= 0x40
		if err := os.WriteFile(name, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(name, false); !errors.Is(err, ErrMalformed) {
			t.Errorf("byte %d changed: %v, %v", off, s, err)
		}
	}
	if err := os.WriteFile(name, data[:len(data)-32], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(name, false); !errors.Is(err, ErrNoSum) {
		t.Errorf("without a sum: %v", err)
	}
	s, err := Open(name, true)
	if err != nil {
		t.Fatalf("without a sum, which is not asked for: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestWriteStops ends writing with the error of what is written.
func TestWriteStops(t *testing.T) {
	spool, err := OpenSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	_, err = spool.Write(t.Context(), sample(), func(_ context.Context, yield func(*Change) error) error {
		for i := range int64(10) {
			if err := yield(&Change{Revision: i + 2, Key: fmt.Append(nil, i)}); err != nil {
				return err
			}
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Errorf("write: %v", err)
	}
	if left, err := os.ReadDir(spool.dir); err != nil || len(left) != 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
}

// mapped returns how many bytes of files this process has in memory.
func mapped(t *testing.T) (bytes int64) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here:", err)
	}
	for line := range strings.Lines(string(status)) {
		if n, err := fmt.Sscanf(line, "RssFile: %d kB", &bytes); n == 1 && err == nil {
			return bytes << 10
		}
	}
	t.Fatal("/proc/self/status has no RssFile")
	return 0
}

// TestS2Bounded reads a snapshot that is many times as large as what may be in memory of it.
func TestS2Bounded(t *testing.T) {
	const values = 96
	var list []Change
	for i := range int64(values) {
		list = append(list, Change{Revision: i + 5, Key: fmt.Append(nil, i), Value: bytes.Repeat([]byte{byte(i)}, 1<<20), Create: i + 5, Version: 1})
	}
	name := save(t, list)
	before := mapped(t)
	from, err := Open(name, false)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = from.Close() }()
	if after := mapped(t) - before; after > 2*residentBytes {
		t.Errorf("after it was opened, %d MiB of it are in memory", after>>20)
	}
	most, n := int64(0), 0
	err = from.Changes(t.Context(), func(c *Change) error {
		n++
		if c.Value[len(c.Value)-1] != byte(n-1) {
			t.Errorf("value %d is another", n)
		}
		most = max(most, mapped(t)-before)
		return nil
	})
	if err != nil || n != values {
		t.Fatalf("%d changes, %v", n, err)
	}
	if most > 4*residentBytes {
		t.Errorf("while it was read, up to %d MiB of it were in memory", most>>20)
	}
	t.Logf("at most %d MiB of %d were in memory", most>>20, values)
}

// FuzzWire reads anything as keys and values.
func FuzzWire(f *testing.F) {
	f.Add(appendKeyValue(nil, &history[1]))
	f.Add(appendRevision(nil, 5, 1, true))
	f.Add(appendLease(nil, Lease{ID: 1, TTL: 2, Remaining: 3}))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var c Change
		_ = parseKeyValue(data, &c)
		_, _, _, _ = parseRevision(data)
		_, _ = parseLease(data)
		_, _ = parseAlarm(data)
	})
}
