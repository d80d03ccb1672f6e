// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"github.com/klauspost/compress/zlib"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// maxLooseHeader is the longest header of a loose object.
const maxLooseHeader = 32

// DecodeLoose returns the object in a loose object's file: a zlib stream of header and content.
func DecodeLoose(file []byte) (gitobj.Kind, []byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(file))
	if err != nil {
		return 0, nil, corrupt("loose object", err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return 0, nil, corrupt("loose object", err)
	}
	header, content, ok := bytes.Cut(data, []byte{0})
	name, size, spaced := bytes.Cut(header, []byte(" "))
	if !ok || !spaced || len(header) > maxLooseHeader {
		return 0, nil, fmt.Errorf("loose object has no header: %w", ErrCorrupt)
	}
	kind, err := gitobj.ParseKind(string(name))
	if err != nil {
		return 0, nil, fmt.Errorf("loose object: %w: %w", err, ErrCorrupt)
	}
	if string(size) != strconv.Itoa(len(content)) {
		return 0, nil, fmt.Errorf("loose object has %d bytes, not %s: %w", len(content), size, ErrCorrupt)
	}
	return kind, content, nil
}
