// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package treeedit edits, walks and compares Git trees by key. How a key lies
// in a tree is layout's business; here is what depends on its neighbours: a
// key that is also a directory of other keys lies in that directory, as "%".
//
//	/a  ─► file a              /a, /a/b ─► files a/% and a/b
//
//	Set, Delete ─► edits by path ─► Write ─► new trees, children first ─► emit
//	                                  ▲
//	              Reader ─► trees that the edits pass through, kept for the next round
//
//	Walk, Diff, Join ─► the keys of one tree, of two that differ, of several at once
//
// # Laws
//
//	T1 Canonical.     The root is a function of the set of keys and their blobs, not of the order of edits.
//	T2 By the change. Write reads and writes only the directories on the paths of the edits; Diff and Join pass over equal sub-trees.
//	T3 Whole or not.  A Write that fails leaves the editor as it was: the same edits can be written again.
//	T4 Children first. An emitted tree names only objects that were emitted before it or were there already.
//	T5 Nothing silent. A tree that is not one of ours (a submodule, a name that is no key, entries out of order) is an error that names the place.
package treeedit
