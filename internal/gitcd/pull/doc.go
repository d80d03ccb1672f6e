// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package pull merges a branch of any Git repository into a branch that is
// served, once or again and again. It only takes: nothing is pushed, and the
// other side need not know of gitcd.
//
//	ListRefs ─► new head? ─► Fetch ─► refs/remotes/<remote>/<branch> ─► how do the two stand?
//
//	  theirs is in ours       nothing
//	  ours is in theirs       the branch moves to theirs, with all that is in its tree, unless a filter has a say
//	  both have gone on       a merge, key by key, as between heavens; a commit with two parents
//	  nothing in common       refused, unless it is allowed
//
// # Laws
//
//	U1 Off the line.   No network call is made while the store waits.
//	U2 Every key.      A key that changes gets a revision of its own; watchers see it.
//	U3 Whole or not.   What a merge by keys cannot carry comes when the branch moves forward, and otherwise stops the pull
//	                   with its path.
//	U4 On purpose.     Unrelated histories are joined only if that is asked for.
//	U5 Patient.        Again and again, a pull that fails is tried again at the next time; writes go on meanwhile.
//	U6 Peers agree.    Two that pull from each other, by equal settings, decide conflicts alike: by the names of their
//	                   branches, or, where these are copies of one branch, by the values.
//	U7 Held, not lost. What a filter leaves out stays where it is, and comes at the next pull once the filter lets it.
package pull
