// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"errors"
	"fmt"
	"strings"
)

// ErrRefName is wrapped by errors about a name that no ref may have.
var ErrRefName = errors.New("bad ref name")

// CheckRefName holds the rules of `git check-ref-format`, and that the name
// is below refs/.
func CheckRefName(name string) error {
	if !strings.HasPrefix(name, "refs/") || len(name) > 255 {
		return fmt.Errorf("%q: want a name of at most 255 bytes below refs/: %w", name, ErrRefName)
	}
	for _, bad := range []string{"..", "@{", "//"} {
		if strings.Contains(name, bad) {
			return fmt.Errorf("%q contains %q: %w", name, bad, ErrRefName)
		}
	}
	if i := strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) }); i >= 0 {
		return fmt.Errorf("%q has a character that is not allowed at byte %d: %w", name, i, ErrRefName)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") || strings.HasSuffix(part, ".") {
			return fmt.Errorf("%q has the part %q, which is empty, begins or ends with a dot, or ends with .lock: %w", name, part, ErrRefName)
		}
	}
	return nil
}
