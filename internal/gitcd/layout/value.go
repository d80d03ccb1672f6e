// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"bytes"
	"errors"
	"fmt"
)

const (
	// marker begins the first line of a blob that is not the value itself.
	marker = "%gitcd "
	// raw is the line before a value that would be mistaken for something else.
	raw = marker + "raw\n"

	// maxDepth and maxGrowth bound what indenting can cost: deeper or wider
	// JSON is stored as it is. They are part of the format.
	maxDepth  = 200
	maxGrowth = 8
	slack     = 4096
)

// ErrUnknownMarker is wrapped by errors about a blob written by a later version.
var ErrUnknownMarker = errors.New("unknown marker line")

// Blob returns the content that stores a value.
func Blob(value []byte) []byte {
	if out, ok := indent(value); ok {
		return out
	}
	if bytes.HasPrefix(value, []byte(marker)) {
		return append([]byte(raw), value...)
	}
	if _, indented := unindent(value); indented {
		return append([]byte(raw), value...)
	}
	return value
}

// Value returns the value that a content stores. Content that Blob would not
// have written, such as JSON edited by hand, is a value as it is.
func Value(blob []byte) ([]byte, error) {
	if value, ok := bytes.CutPrefix(blob, []byte(raw)); ok {
		return value, nil
	}
	if bytes.HasPrefix(blob, []byte(marker)) {
		line, _, _ := bytes.Cut(blob[:min(len(blob), 64)], []byte("\n"))
		return nil, fmt.Errorf("decode value that begins with %q: %w; read it with the version of gitcd that wrote it", line, ErrUnknownMarker)
	}
	if value, ok := unindent(blob); ok {
		return value, nil
	}
	return blob, nil
}
