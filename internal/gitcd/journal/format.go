// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"errors"
	"path"
	"strings"
)

var (
	// errChain says that a batch is whole, but not the one that follows: J4.
	errChain = errors.New("it does not carry on from the batch before")
	// errParts says that a batch's record tells of what is not there: J2.
	errParts = errors.New("the batch is not there with all its parts")
)

// mending adds to each report that does not say what to do.
func mending(report func(law, where string)) func(law, where string) {
	return func(law, where string) {
		switch {
		case strings.Contains(where, "; "):
		case law == "J7":
			where += "; remove the file, since the records decide, and Git has what they say in packed-refs"
		default:
			where += "; " + hintRestore
		}
		report(law, where)
	}
}

// format checks the mark that makes a directory gitcd's.
func (c *checker) format() error {
	fresh, err := inspectOwn(c.fs, path.Join(c.dir, formatFile))
	where, addressed := errors.AsType[*Error](err)
	switch {
	case addressed:
		c.report("J3", where.Error()+", if it is not damaged: then write it anew")
		return nil
	case err != nil:
		return err
	case fresh:
		c.report("J3", path.Join(c.dir, formatFile)+" is gone")
	}
	return nil
}
