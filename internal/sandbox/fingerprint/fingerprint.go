// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fingerprint tells whether a file is what it was, without reading all
// of it.
//
// # Laws
//
//  1. A Go binary is known by its build id, which is a function of its content:
//     building it again from the same sources changes its time, not its id.
//  2. Any other file is known by its size and time.
package fingerprint

import (
	"debug/elf"
	"fmt"
	"os"
)

// noteHeader is the length of an ELF note's header and of the name "Go\0\0".
const noteHeader = 16

// Of returns a file's fingerprint.
func Of(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("look at file: %w", err)
	}
	if id := buildID(path); id != "" {
		return fmt.Sprintf("%d %s", info.Size(), id), nil
	}
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano()), nil
}

// buildID returns a Go binary's build id, empty if the file has none.
func buildID(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	section := f.Section(".note.go.buildid")
	if section == nil {
		return ""
	}
	note, err := section.Data()
	if err != nil || len(note) <= noteHeader {
		return ""
	}
	size := int(f.ByteOrder.Uint32(note[4:8]))
	if size <= 0 || noteHeader+size > len(note) {
		return ""
	}
	return string(note[noteHeader : noteHeader+size])
}
