// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package merge is the three-way merge of branches, trees and objects. It is
// pure: objects come from a Reader, the outcome is a value, nothing is written
// and no clock is read.
//
//	History.Merge  two heads ─► their base ─► three trees
//	Plan           three trees ─► the keys that theirs changed ─► changes to ours, conflicts
//	Object         three values of a key ─► a value ─► and what it could not hold: conflicts
//	Apply          changes ─► treeedit ─► the merged tree
//	Merged.Trailer what filters left out ─► a line of the merge commit, for the next merge
//	Record         a conflict ─► a file that a person can read
//
// Table has the rules, each with its reason. docs/merging.md explains them.
//
// # Laws
//
//	M1 Symmetric.      With the sides and their names swapped, the result is the same, byte for byte.
//	M2 Idempotent.     The same change on both sides is that change; an unchanged side yields.
//	M3 Nothing silent. What a side changed is in the result, or in a conflict that has it or its blob.
//	M4 Convergent.     Branches that merge with main in any order end with equal trees once writes stop.
//	M5 Exact.          A result that means the same as a side has that side's bytes; numbers keep their text.
//	M6 Whole.          What belongs together (a condition, a lease, a reference) comes from one side.
//	M7 By the change.  Sub-trees that are equal, or that only ours changed, are not read.
//	M8 Secret.         A conflict never shows a value that is, or may be, a secret: it names the blob.
//	M9 Held, not lost. What a filter leaves out stays on its branch, and is merged as any change once the filter lets it.
//	M10 Acceptable.    Of objects that an API server takes it makes one that the server takes.
package merge
