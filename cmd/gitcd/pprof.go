// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/pprof"
	"os"
)

// pprofVariable is set, to anything, by who wants profiles on the status server.
const pprofVariable = "GITCD_PPROF"

// addProfiles serves profiles of the process if the environment asks for them.
func addProfiles(mux *http.ServeMux) {
	if os.Getenv(pprofVariable) == "" {
		return
	}
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}
