// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"net/http"
	"time"
)

func httpClient() *http.Client { return &http.Client{Timeout: 30 * time.Second} }
