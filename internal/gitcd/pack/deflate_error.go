// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"errors"

	"github.com/klauspost/compress/flate"
)

// isDeflate says whether the error is about the stream rather than its source.
func isDeflate(err error) bool {
	var input flate.CorruptInputError
	var internal flate.InternalError
	return errors.As(err, &input) || errors.As(err, &internal)
}
