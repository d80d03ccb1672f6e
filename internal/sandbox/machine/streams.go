// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package machine

import "io"

// Streams are a program's standard streams; nil ones lead nowhere.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}
