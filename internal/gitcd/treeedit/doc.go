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
//	T5 Nothing silent. What is no key's (a symbolic link, a submodule, a name that no key can have) stays where it is until
//	                  a key takes its place. Walk and Diff pass over it, WalkAll tells of it, and Join, by which merges are
//	                  computed, fails and names the place if the sides differ in it.
//	T6 Names of others. A name that layout would not have made, such as "my file", is that of the key "/my file". Edits keep
//	                  it; a directory with both it and the name that layout makes is an error. T1 holds but for these.
//	T7 By leaps.      In a directory only what is near a difference, an edit or a name that is looked up is read entry by entry;
//	                  the rest is compared, copied and hashed as bytes. The outcome is that of reading it all. Whether a
//	                  directory is in order is checked by Walk, and by an editor when it reads it; in between it is taken to be.
package treeedit
