// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build tools

package main

import (
	_ "github.com/gardener/machine-controller-manager/cmd/machine-controller-manager"
)
