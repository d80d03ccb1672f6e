// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package gitea pins Gitea, which tests run as a forge, unmodified.
package gitea

import (
	_ "code.gitea.io/gitea"
)
