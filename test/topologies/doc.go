// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package topologies runs the commands of docs/topologies.md, with the real
// gitcd, against stock Git as the forge.
//
//	docs/topologies.md ─► what stands above the sections ─┐
//	                  └─► the commands of one section ────┴─► bash, in a directory of its own ─► they end well
//
// # Laws
//
//	D1 As it stands. Only the forge's URL and the numbers of ports are others than in the text.
//	D2 All of them.  Every section with commands is run; there are as many as the table of the page has rows.
package topologies
