// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// packFile is a pack on disk: one of the journal's sealed segments, or a foreign one.
type packFile struct {
	*pack.File
	name        string
	data, index vfs.File
	size        int64
	// segment is the number of the segment it was, 0 for a foreign pack; seq is the number of its first frame.
	segment uint32
	seq     uint64
	// folded says that a fold made it.
	folded bool
}

func (p *packFile) close() error { return errors.Join(p.data.Close(), p.index.Close()) }

// openPacks opens the packs of a repository but its tails: own ones first, the newest before the others.
func openPacks(fsys vfs.FS, dir string, foreign map[string]bool) (_ []*packFile, err error) {
	at := path.Join(dir, packDir)
	names, err := list(fsys, at)
	if err != nil {
		return nil, err
	}
	var packs []*packFile
	defer func() {
		if err != nil {
			for _, p := range packs {
				err = errors.Join(err, p.close())
			}
		}
	}()
	for name := range names {
		stem, ok := strings.CutSuffix(name, ".idx")
		if !ok || !names[stem+".pack"] || !foreign[stem] && strings.HasPrefix(stem, tailPrefix) {
			continue // Git does not see a pack without an index, nor an index without a pack
		}
		p, err := openPack(fsys, path.Join(at, stem))
		if err != nil {
			return nil, err
		}
		if foreign[stem] {
			p.segment, p.seq = 0, 0
		}
		packs = append(packs, p)
	}
	slices.SortFunc(packs, func(a, b *packFile) int {
		return cmp.Or(cmp.Compare(b.segment, a.segment), cmp.Compare(a.name, b.name))
	})
	return packs, nil
}

// openPack opens the pack and the index whose names begin with stem.
func openPack(fsys vfs.FS, stem string) (*packFile, error) {
	data, err := fsys.Open(stem+".pack", vfs.Read)
	if err != nil {
		return nil, err
	}
	return openIndexed(fsys, stem, data)
}

// openIndexed opens the index of a pack that is open.
func openIndexed(fsys vfs.FS, stem string, data vfs.File) (_ *packFile, err error) {
	p := &packFile{name: stem + ".pack", data: data}
	if p.index, err = fsys.Open(stem+".idx", vfs.Read); err != nil {
		return nil, errors.Join(err, p.data.Close())
	}
	if err = p.load(); err != nil {
		return nil, errors.Join(&Error{Op: "open", File: p.name, Offset: -1, Err: err, Hint: hintRestore}, p.close())
	}
	return p, nil
}

// load reads the heads of the index and the pack, and whether it was a segment.
func (p *packFile) load() error {
	indexSize, err := p.index.Size()
	if err != nil {
		return err
	}
	index, err := pack.OpenIndex(p.index, indexSize)
	if err != nil {
		return err
	}
	if p.size, err = p.data.Size(); err != nil {
		return err
	}
	if p.File, err = pack.OpenFile(p.data, p.size, index); err != nil {
		return err
	}
	content, _, err := readRecord(p.data, pack.HeaderSize, p.size)
	if errors.Is(err, errTorn) || errors.Is(err, errNoRecord) {
		return nil // a pack of others
	}
	if err != nil {
		return err
	}
	if h, err := parseHead(content); err == nil {
		p.segment, p.seq = h.segment, h.seq
	}
	return nil
}

// writeForeign notes which packs were there before the journal. A clone made
// by linking files has another journal's segments and tails, which here are but packs.
func writeForeign(fsys vfs.FS, dir string, durable bool) error {
	names, err := list(fsys, path.Join(dir, packDir))
	if err != nil {
		return err
	}
	var stems []string
	for name := range names {
		if stem, ok := strings.CutSuffix(name, ".idx"); ok {
			stems = append(stems, stem+"\n")
		}
	}
	slices.Sort(stems)
	return vfs.WriteFile(fsys, path.Join(dir, foreignFile), []byte(strings.Join(stems, "")), durable)
}

// readForeign returns the names of these packs.
func readForeign(fsys vfs.FS, dir string) (map[string]bool, error) {
	data, err := vfs.ReadFile(fsys, path.Join(dir, foreignFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	stems := map[string]bool{}
	for stem := range strings.FieldsSeq(string(data)) {
		stems[stem] = true
	}
	return stems, nil
}
