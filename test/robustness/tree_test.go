// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package robustness

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
)

// gitTree reads the files of a branch with stock Git.
func gitTree(ctx context.Context, repository, branch string) (map[string]string, error) {
	git := func(stdin string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", repository, "-c", "safe.directory=*"}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, stderr.String())
		}
		return out, nil
	}
	if _, err := git("", "fsck", "--strict", "--no-dangling"); err != nil {
		return nil, err
	}
	listing, err := git("", "ls-tree", "-r", "-z", "--format=%(objectname) %(path)", branch)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	var paths []string
	var ids strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(string(listing), "\x00"), "\x00") {
		id, path, ok := strings.Cut(line, " ")
		if !ok {
			continue
		}
		paths = append(paths, path)
		ids.WriteString(id + "\n")
	}
	contents, err := git(ids.String(), "cat-file", "--batch=%(objectsize)")
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		var size int
		if _, err := fmt.Sscanf(string(contents[:min(20, len(contents))]), "%d\n", &size); err != nil {
			return nil, fmt.Errorf("read git cat-file: %w", err)
		}
		contents = contents[bytes.IndexByte(contents, '\n')+1:]
		files[path] = string(contents[:size])
		contents = contents[size+1:]
	}
	return files, nil
}

// path is the file of a key, for the keys of this traffic: see docs/formats/tree-layout.md.
func path(key string) string {
	if rest, ok := strings.CutPrefix(key, "/"); ok {
		return rest
	}
	return "%-/" + key
}

// isLocal says of which keys gitcd keeps no history.
func isLocal(key string) bool { return key == "compact_rev_key" }

// sameTree compares keys with files.
func sameTree(keys, files map[string]string) error {
	want := map[string]string{}
	for key, value := range keys {
		if !isLocal(key) {
			want[path(key)] = value
		}
	}
	if maps.Equal(want, files) {
		return nil
	}
	var differ []string
	for _, p := range slices.Sorted(maps.Keys(want)) {
		if got, ok := files[p]; !ok || got != want[p] {
			differ = append(differ, fmt.Sprintf("%s: %q in Git, %q written", p, got, want[p]))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		if _, ok := want[p]; !ok {
			differ = append(differ, p+" is in Git and was deleted, or never written")
		}
	}
	return fmt.Errorf("%d files: %s", len(differ), strings.Join(differ[:min(10, len(differ))], "; "))
}
