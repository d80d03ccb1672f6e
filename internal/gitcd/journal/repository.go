// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// The journal's own files, below the repository's directory.
const (
	ownDir         = "gitcd"
	journalDir     = ownDir + "/journal"
	lockFile       = ownDir + "/lock"
	formatFile     = ownDir + "/format"
	checkpointFile = ownDir + "/checkpoint"
	stateFile      = journalDir + "/state"
	syncedFile     = journalDir + "/synced"
	foreignFile    = journalDir + "/foreign"
	failedFile     = journalDir + "/failed"
	packDir        = "objects/pack"
	packedRefsFile = "packed-refs"
)

// formatVersion is written into the format file. A step up gets a new number, which is never used again.
const formatVersion = "gitcd journal 1\n"

// ownConfig keeps stock Git from rewriting what the journal holds offsets of,
// and from taking pushes past it: the records decide what a ref is. With
// precious objects Git refuses to remove packs and objects; what it would keep
// beside them, as an index of many packs, goes out of date and is not to be read.
const ownConfig = `[core]
	multiPackIndex = false
	commitGraph = false
[extensions]
	preciousObjects = true
[gc]
	auto = 0
	pruneExpire = never
	packRefs = false
	writeCommitGraph = false
[repack]
	writeBitmaps = false
[maintenance]
	auto = false
	strategy = none
[receive]
	autogc = false
	denyNonFastForwards = true
	denyDeletes = true
	hideRefs = refs/
`

const newConfig = `[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
`

// inspect says whether the directory's journal has yet to be made, and refuses
// a directory that is something else. It changes nothing.
func inspect(fsys vfs.FS, dir string) (fresh bool, err error) {
	names, err := list(fsys, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case names[ownDir]:
		return inspectOwn(fsys, path.Join(dir, formatFile))
	case names["HEAD"] && names["objects"]:
		return true, checkForeign(fsys, dir, names)
	case names[".git"]:
		return false, foreign(dir, "it is a repository with a work tree", "clone it with `git clone --mirror`")
	case len(names) > 0:
		return false, foreign(dir, "it holds other files", "give gitcd an empty directory or a bare repository")
	default:
		return true, nil
	}
}

// inspectOwn compares the version of the format. Without one, the first Open was cut off.
func inspectOwn(fsys vfs.FS, name string) (fresh bool, err error) {
	version, err := vfs.ReadFile(fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case string(version) != formatVersion:
		return false, &Error{
			Op: "open", File: name, Offset: -1, Hint: "open it with the version of gitcd that wrote it, or a later one",
			Err: fmt.Errorf("format is %q, not %q: %w", strings.TrimSpace(string(version)), strings.TrimSpace(formatVersion), ErrForeign),
		}
	default:
		return false, nil
	}
}

func foreign(dir, why, hint string) error {
	return &Error{Op: "open", File: dir, Offset: -1, Err: fmt.Errorf("%s: %w", why, ErrForeign), Hint: hint}
}

// checkForeign refuses a repository whose objects the journal could not find.
func checkForeign(fsys vfs.FS, dir string, names map[string]bool) error {
	if names["shallow"] {
		return foreign(dir, "it is a shallow clone", "run `git fetch --unshallow` in it, or clone again with `git clone --mirror`")
	}
	info, err := list(fsys, path.Join(dir, "objects/info"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if info["alternates"] {
		return foreign(dir, "it borrows objects from another repository", "run `git repack -a -d` in it and remove objects/info/alternates")
	}
	if names["reftable"] {
		return foreign(dir, "its refs are in a reftable", "clone it with `git clone --mirror --ref-format=files`")
	}
	config, err := vfs.ReadFile(fsys, path.Join(dir, "config"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if strings.Contains(strings.ToLower(string(config)), "objectformat = sha256") {
		return foreign(dir, "its ids are SHA-256", "gitcd keeps SHA-1 repositories: create one with `git init --bare --object-format=sha1`")
	}
	return nil
}

func list(fsys vfs.FS, dir string) (map[string]bool, error) {
	entries, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.Name] = true
	}
	return names, nil
}

// makeRepository writes what a bare repository needs and does not have. The
// format file comes last: with it, all is there.
func makeRepository(fsys vfs.FS, dir string, durable bool) error {
	for _, d := range []string{"objects/info", packDir, "refs/heads", "refs/tags", journalDir} {
		if err := fsys.MakeDir(path.Join(dir, d)); err != nil {
			return err
		}
	}
	head := path.Join(dir, "HEAD")
	if found, err := vfs.Exists(fsys, head); err != nil {
		return err
	} else if !found {
		if err := vfs.WriteFile(fsys, head, []byte("ref: refs/heads/main\n"), durable); err != nil {
			return err
		}
	}
	config, err := vfs.ReadFile(fsys, path.Join(dir, "config"))
	if errors.Is(err, fs.ErrNotExist) {
		config, err = []byte(newConfig), nil
	}
	if err != nil {
		return err
	}
	if !strings.Contains(string(config), ownConfig) {
		config = append(config, ownConfig...) // of two settings, Git takes the last
		if err := vfs.WriteFile(fsys, path.Join(dir, "config"), config, durable); err != nil {
			return err
		}
	}
	if !durable {
		return nil
	}
	for _, d := range []string{"objects/info", packDir, "objects", "refs", journalDir, ownDir, "", ".."} {
		if err := fsys.SyncDir(path.Join(dir, d)); err != nil {
			return err
		}
	}
	return nil
}

// foreignRefs returns the refs that stock Git has left in the repository. What
// is no ref in packed-refs is passed over if that is the journal's: it is not
// synced, so power may have torn it.
func foreignRefs(fsys vfs.FS, dir string, own bool) (map[string]gitobj.ID, error) {
	refs := map[string]gitobj.ID{}
	packed, err := vfs.ReadFile(fsys, path.Join(dir, packedRefsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(packed)) {
		hex, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || hex == "" || hex[0] == '#' || hex[0] == '^' {
			continue
		}
		id, err := gitobj.ParseID(hex)
		if err != nil && own {
			continue
		}
		if err != nil {
			return nil, &Error{Op: "import refs", File: path.Join(dir, packedRefsFile), Offset: -1, Err: err, Hint: "mend it with git pack-refs or clone again"}
		}
		refs[name] = id
	}
	return refs, looseRefs(fsys, dir, "refs", func(name string, id gitobj.ID) error {
		refs[name] = id
		return nil
	})
}

// dropLooseRefs removes the files of refs that the journal knows: Git would
// believe them rather than packed-refs. Those of other names are left alone.
func dropLooseRefs(fsys vfs.FS, dir string, known map[string]gitobj.ID) error {
	return looseRefs(fsys, dir, "refs", func(name string, _ gitobj.ID) error {
		if _, ok := known[name]; !ok {
			return nil
		}
		return fsys.Remove(path.Join(dir, name))
	})
}

// looseRefs yields the refs that are files of their own. Symbolic ones are passed over.
func looseRefs(fsys vfs.FS, dir, prefix string, yield func(name string, id gitobj.ID) error) error {
	entries, err := fsys.List(path.Join(dir, prefix))
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := prefix + "/" + e.Name
		if e.Dir {
			if err := looseRefs(fsys, dir, name, yield); err != nil {
				return err
			}
			continue
		}
		content, err := vfs.ReadFile(fsys, path.Join(dir, name))
		if err != nil {
			return err
		}
		text := strings.TrimSpace(string(content))
		if strings.HasPrefix(text, "ref:") || !legalRef(name) {
			continue
		}
		id, err := gitobj.ParseID(text)
		if err != nil {
			return &Error{Op: "read ref", File: path.Join(dir, name), Offset: -1, Err: err, Hint: "remove the file: it is no ref"}
		}
		if err := yield(name, id); err != nil {
			return err
		}
	}
	return nil
}
