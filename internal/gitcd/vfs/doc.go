// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package vfs is the seam between gitcd and the disk: the only place of the
// storage wing that knows the operating system.
//
//	journal ─► FS ─┬► OS   the real disk
//	               └► Mem  a disk in memory that can lose power, tear and fail
//
// # Laws
//
//	V1 Synced survives.   After File.Sync the file's content, and after SyncDir the directory's names, survive a power cut.
//	V2 Nothing else does. Mem's crash clones lose, tear or reorder what was not synced.
//	V3 Whole renames.     Rename replaces its target at once: a reader sees the old file or the new.
//	V4 One holder.        A file opened with Lock is open once, until Close or the end of the process.
//	V5 Failed is lost.    What a Sync that failed was about may be lost, though it shows, and though a later Sync says nothing.
package vfs
