// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package mergecheck asks a real kube-apiserver whether it takes what a merge
// makes of its objects (law M10 of internal/gitcd/merge).
//
//	testdata/<kind>.txtar   an object, and edits of it
//	  base ── create, PUT status ─► kube-apiserver
//	  base + one edit ───────────── PUT, dry run ─► accepted: it is an edit that a heaven can see
//	  merge of two such edits ───── PUT, dry run ─► accepted: spec and metadata by the object, status by /status
//
// A pod that an edit binds is bound first, as a scheduler does it: nobody may PUT a node's name.
package mergecheck
