// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// The journal's small files are a magic of 8 bytes, the CRC-32C of what
// follows, and then, big-endian:
//
//	state       segment 4, seq 8, chain 4, number of refs 4; each: uvarint length, name, id 20
//	synced      segment 4, offset 4
//	checkpoint  seq 8, payload
const (
	stateMagic      = "gitcds\x00\x01"
	syncedMagic     = "gitcdy\x00\x01"
	checkpointMagic = "gitcdc\x00\x01"
	smallHeader     = 12
)

func sealSmall(magic string, body []byte) []byte {
	out := make([]byte, 0, smallHeader+len(body))
	out = append(out, magic...)
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(body, castagnoli))
	return append(out, body...)
}

// readSmall returns the body of a small file, nil if there is no file.
func readSmall(fsys vfs.FS, name, magic string) ([]byte, error) {
	data, err := vfs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(data) < smallHeader || string(data[:8]) != magic || crc32.Checksum(data[smallHeader:], castagnoli) != binary.BigEndian.Uint32(data[8:]) {
		return nil, &Error{Op: "read", File: name, Offset: 0, Err: ErrCorrupt, Hint: hintRestore}
	}
	return data[smallHeader:], nil
}

// writeState makes durable where reading starts.
func writeState(fsys vfs.FS, dir string, s start, durable bool) error {
	return vfs.WriteFile(fsys, path.Join(dir, stateFile), sealSmall(stateMagic, appendStart(nil, s)), durable)
}

func appendStart(body []byte, s start) []byte {
	body = binary.BigEndian.AppendUint32(body, s.segment)
	body = binary.BigEndian.AppendUint64(body, s.seq)
	body = binary.BigEndian.AppendUint32(body, s.chain)
	body = binary.BigEndian.AppendUint32(body, uint32(len(s.refs))) //nolint:gosec // far fewer than 4G refs
	for _, name := range slices.Sorted(maps.Keys(s.refs)) {
		body = binary.AppendUvarint(body, uint64(len(name)))
		body = append(body, name...)
		id := s.refs[name]
		body = append(body, id[:]...)
	}
	return body
}

// firstStart is the state of an empty journal.
func firstStart() start { return start{segment: 1, refs: map[string]gitobj.ID{}} }

// readState returns where reading starts: the first segment, unless something was sealed.
func readState(fsys vfs.FS, dir string) (start, error) {
	name := path.Join(dir, stateFile)
	body, err := readSmall(fsys, name, stateMagic)
	if err != nil || body == nil {
		return firstStart(), err
	}
	s, _, ok := parseStart(body)
	if !ok {
		return s, &Error{Op: "read", File: name, Offset: 0, Err: ErrCorrupt, Hint: hintRestore}
	}
	return s, nil
}

// parseStart reads what appendStart wrote, and returns what is behind.
func parseStart(body []byte) (s start, rest []byte, ok bool) {
	s = firstStart()
	if len(body) < 20 {
		return s, nil, false
	}
	s.segment, s.seq, s.chain = binary.BigEndian.Uint32(body), binary.BigEndian.Uint64(body[4:]), binary.BigEndian.Uint32(body[12:])
	rest = body[20:]
	for range binary.BigEndian.Uint32(body[16:]) {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)) || len(rest) < size+int(n)+gitobj.IDSize { //nolint:gosec // at most len(rest)
			return s, nil, false
		}
		end := size + int(n) //nolint:gosec // at most len(rest)
		s.refs[string(rest[size:end])] = gitobj.ID(rest[end : end+gitobj.IDSize])
		rest = rest[end+gitobj.IDSize:]
	}
	return s, rest, true
}

// writeSynced leaves a hint up to where a segment is durable. A hint needs no sync: it is true whenever it is there.
// Nor has it to be whole, since it carries its checksum, so it is written in its place.
func writeSynced(fsys vfs.FS, dir string, segment uint32, offset int64) error {
	body := binary.BigEndian.AppendUint32(nil, segment)
	body = binary.BigEndian.AppendUint32(body, uint32(offset)) //nolint:gosec // a segment is smaller than 4 GiB
	f, err := fsys.Open(path.Join(dir, syncedFile), vfs.Write)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(sealSmall(syncedMagic, body), 0)
	return errors.Join(err, f.Close())
}

// readSynced returns the hint. A damaged one says nothing: power may have gone while it was written.
func readSynced(fsys vfs.FS, dir string) (segment uint32, offset int64, err error) {
	body, err := readSmall(fsys, path.Join(dir, syncedFile), syncedMagic)
	if errors.Is(err, ErrCorrupt) {
		return 0, 0, nil
	}
	if err != nil || len(body) < 8 {
		return 0, 0, err
	}
	return binary.BigEndian.Uint32(body), int64(binary.BigEndian.Uint32(body[4:])), nil
}
