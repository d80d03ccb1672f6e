// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"time"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// serveGit shows a repository to those who pull from it, until the context ends.
func serveGit(ctx context.Context, c *gitcdv1.GitServer, repo transport.Repository, head string) error {
	l, err := listen(ctx, gitcdv1.Listener{URL: c.URL, TLS: c.TLS})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/repo.git/", http.StripPrefix("/repo.git", transport.NewServer(repo, transport.ServerOptions{Head: head})))
	return serveHTTP(ctx, l, mux, time.Second)
}
