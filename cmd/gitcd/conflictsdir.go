// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/conflict"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/journal"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// gitConflicts reads a repository with the git program: it leaves a clone as it
// is, and a repository that is being served to its server.
type gitConflicts struct{ dir string }

// git runs one command in the repository.
func (s *gitConflicts) git(ctx context.Context, in []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", s.dir}, args...)...) //nolint:gosec // the directory is the caller's to name
	cmd.Stdin = bytes.NewReader(in)
	var out, why bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &why
	if err := cmd.Run(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("%w: install git, or ask the hub with --hub", err)
		}
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(why.String()))
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// objects reads objects by `git cat-file --batch`.
type gitObjects struct {
	in  io.WriteCloser
	out *bufio.Reader
	cmd *exec.Cmd
}

func (s *gitConflicts) objects(ctx context.Context) (*gitObjects, error) {
	cmd := exec.CommandContext(ctx, "git", "-C", s.dir, "cat-file", "--batch") //nolint:gosec // the directory is the caller's to name
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("read objects: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("read objects: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("read objects: %w", err)
	}
	return &gitObjects{in: in, out: bufio.NewReader(out), cmd: cmd}, nil
}

func (g *gitObjects) close() error { return errors.Join(g.in.Close(), g.cmd.Wait()) }

// Get reads one object.
func (g *gitObjects) Get(id gitobj.ID) (gitobj.Kind, []byte, error) {
	if _, err := io.WriteString(g.in, id.String()+"\n"); err != nil {
		return 0, nil, fmt.Errorf("read %s: %w", id, err)
	}
	line, err := g.out.ReadString('\n')
	if err != nil {
		return 0, nil, fmt.Errorf("read %s: %w", id, err)
	}
	words := strings.Fields(line)
	if len(words) != 3 {
		return 0, nil, fmt.Errorf("read %s: git says %q", id, strings.TrimSpace(line))
	}
	size, err := strconv.Atoi(words[2])
	if err != nil {
		return 0, nil, fmt.Errorf("read %s: git says %q", id, strings.TrimSpace(line))
	}
	data := make([]byte, size+1) // and a line's end
	if _, err := io.ReadFull(g.out, data); err != nil {
		return 0, nil, fmt.Errorf("read %s: %w", id, err)
	}
	for _, kind := range []gitobj.Kind{gitobj.KindCommit, gitobj.KindTree, gitobj.KindBlob, gitobj.KindTag} {
		if kind.String() == words[1] {
			return kind, data[:size], nil
		}
	}
	return 0, nil, fmt.Errorf("read %s: it is a %q", id, words[1])
}

// records are the conflicts of a repository as they are on record.
type records struct {
	*gitObjects
	head, tree gitobj.ID         // of the branch of conflicts; zero if there is none
	local      bool              // the branch is the repository's own, no remote's
	unfiled    map[string][]byte // name -> content: where there is no hub, only the messages of merges have them
}

func (s *gitConflicts) open(ctx context.Context) (_ *records, err error) {
	refs, err := s.git(ctx, nil, "for-each-ref", "--format=%(objectname) %(refname)", conflict.Ref, "refs/remotes/*/conflicts")
	if err != nil {
		return nil, err
	}
	r := &records{}
	for line := range strings.Lines(refs) {
		id, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if r.head.IsZero() || name == conflict.Ref {
			if r.head, err = gitobj.ParseID(id); err != nil {
				return nil, err
			}
			r.local = name == conflict.Ref
		}
	}
	if r.head.IsZero() {
		if r.unfiled, err = s.messages(ctx); err != nil {
			return nil, err
		}
	}
	if r.gitObjects, err = s.objects(ctx); err != nil {
		return nil, err
	}
	if r.head.IsZero() {
		return r, nil
	}
	_, data, err := r.Get(r.head)
	if err == nil {
		var c gitobj.Commit
		c, err = gitobj.DecodeCommit(data)
		r.tree = c.Tree
	}
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

// messages finds what merges said in their commits.
func (s *gitConflicts) messages(ctx context.Context) (map[string][]byte, error) {
	text, err := s.git(ctx, nil, "log", "--all", "--format=%B", "--grep=^"+strings.TrimSpace(conflictLine))
	if err != nil {
		return nil, err
	}
	found := map[string][]byte{}
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, conflictLine)
		if !ok {
			continue
		}
		var name string
		var content json.RawMessage
		in := json.NewDecoder(strings.NewReader(rest))
		if errors.Join(in.Decode(&name), in.Decode(&content)) == nil && conflict.ValidName(name) {
			found[name] = append(content, '\n')
		}
	}
	return found, nil
}

// conflictLine begins the line of a conflict in the message of a merge.
const conflictLine = "Conflict: "

// each yields what is on record.
func (r *records) each(ctx context.Context, yield func(hub.ListedConflict) error) error {
	for name, content := range r.unfiled {
		record, err := conflict.Parse(content)
		if err != nil {
			return err
		}
		if err := yield(hub.ListedConflict{ID: strings.TrimSuffix(filepath.Base(name), ".json"), Record: record}); err != nil {
			return err
		}
	}
	return conflict.List(ctx, r, r.tree, func(e conflict.Entry) error {
		record, err := conflict.Read(r, e)
		if err != nil {
			return err
		}
		return yield(hub.ListedConflict{ID: e.ID, Record: record})
	})
}

func (s *gitConflicts) list(ctx context.Context, all bool) (found []hub.ListedConflict, err error) {
	r, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	err = r.each(ctx, func(c hub.ListedConflict) error {
		if all || c.Record.Resolved == nil {
			found = append(found, c)
		}
		return nil
	})
	inOrder(found)
	return found, err
}

func (s *gitConflicts) show(ctx context.Context, id string) (c hub.ListedConflict, err error) {
	r, err := s.open(ctx)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	matches := 0
	err = r.each(ctx, func(one hub.ListedConflict) error {
		if id != "" && strings.HasPrefix(one.ID, id) {
			c = one
			matches++
		}
		return nil
	})
	switch {
	case err != nil:
		return c, err
	case matches == 0:
		return c, fmt.Errorf("find conflict %q: %w", id, conflict.ErrNotFound)
	case matches > 1:
		return c, fmt.Errorf("find conflict %q: %w; give more of the id", id, conflict.ErrAmbiguous)
	}
	c.Fill(r)
	return c, nil
}

func (s *gitConflicts) resolve(ctx context.Context, id string, how conflict.Resolution) (c hub.ListedConflict, err error) {
	r, err := s.open(ctx)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	book := conflict.Edit(r, r.tree)
	if len(r.unfiled) > 0 { // nobody else has filed them
		for name, content := range r.unfiled {
			if _, err := book.File(ctx, name, content); err != nil {
				return c, err
			}
		}
	}
	how.When = clock.RealClock{}.Now()
	w := &gitWriter{source: s}
	if len(r.unfiled) > 0 {
		if r.tree, err = book.Write(ctx, w.emit); err != nil {
			return c, err
		}
		book = conflict.Edit(transport.Over(&having{r}, w.objects), r.tree)
	}
	e, record, err := book.Resolve(ctx, id, how)
	if err != nil {
		return c, err
	}
	tree, err := book.Write(ctx, w.emit)
	if err != nil {
		return c, err
	}
	var parents []gitobj.ID
	old := gitobj.Zero
	if !r.head.IsZero() {
		parents = []gitobj.ID{r.head}
	}
	if r.local {
		old = r.head
	}
	if err := w.write(ctx, old, e.Commit(record, tree, parents)); err != nil {
		return c, fmt.Errorf("resolve conflict %s: %w", e.ID, err)
	}
	return hub.ListedConflict{ID: e.ID, Record: record}, nil
}

// having makes a store of objects of a reader.
type having struct{ treeedit.Reader }

// Has says whether an object can be read.
func (h *having) Has(id gitobj.ID) bool {
	_, _, err := h.Get(id)
	return err == nil
}

// gitWriter writes objects and the branch of conflicts.
type gitWriter struct {
	source  *gitConflicts
	objects []transport.Object
}

func (w *gitWriter) emit(o treeedit.Object) error {
	w.objects = append(w.objects, transport.Object(o))
	return nil
}

// write makes the commit the head of the branch: through the journal if the repository is gitcd's, so that a server that
// has it is not disturbed; else with git.
func (w *gitWriter) write(ctx context.Context, old gitobj.ID, c gitobj.Commit) error {
	data := c.Encode()
	id := gitobj.Hash(gitobj.KindCommit, data)
	objects := append(w.objects, transport.Object{Kind: gitobj.KindCommit, ID: id, Data: data})
	if _, err := os.Stat(filepath.Join(w.source.dir, "gitcd", "format")); err == nil {
		o, err := openOffline(ctx, w.source.dir)
		if err != nil {
			return fmt.Errorf("%w; to a hub that serves it, write --hub", err)
		}
		frame := journal.Frame{Objects: objects, Refs: []journal.RefUpdate{{Name: conflict.Ref, Old: old, New: id}}}
		_, err = o.journal.Append(ctx, []journal.Frame{frame}, true)
		return errors.Join(err, o.close(context.WithoutCancel(ctx)))
	}
	for _, o := range objects {
		got, err := w.source.git(ctx, o.Data, "hash-object", "-t", o.Kind.String(), "-w", "--stdin")
		if err != nil {
			return err
		}
		if got != o.ID.String() {
			return fmt.Errorf("write %s: git calls it %s", o.ID, got)
		}
	}
	_, err := w.source.git(ctx, nil, "update-ref", conflict.Ref, id.String(), old.String())
	return err
}
