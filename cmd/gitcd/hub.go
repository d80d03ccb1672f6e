// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

func hubCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "hub",
		Short: "Receive branches, merge them into main, and tell everybody",
		Long: `Receive branches over HTTPS, merge them into main, and tell everybody.

A client's certificate names the one branch that it may push. Anybody with a
certificate of the authority may fetch, also with stock git.`,
		Example: `  gitcd hub --config /etc/gitcd/config.yaml
  git -c http.sslCert=me.crt -c http.sslKey=me.key -c http.sslCAInfo=ca.crt clone https://hub:8443/repo.git`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(file)
			if err != nil {
				return err
			}
			if c.Hub == nil {
				return &usageError{fmt.Errorf("%s configures no hub: run gitcd serve", file)}
			}
			return serveHub(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file")
	if err := cmd.MarkFlagRequired("config"); err != nil {
		panic(err)
	}
	return cmd
}

func serveHub(ctx context.Context, c *gitcdv1.Config) (err error) {
	logger := newLogger(c.Logging)
	j, err := openJournal(ctx, c)
	if err != nil {
		return err
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
		defer cancel()
		err = errors.Join(err, j.Close(last))
	}()
	var h *hub.Hub
	m, err := openMirror(ctx, c.Hub.Mirror, j, func(ref string) { h.Offer(ref) }, logger)
	if err != nil {
		return err
	}
	gates, err := gatesOf(c.Hub)
	if err != nil {
		return err
	}
	o := hub.Options{Genesis: c.Hub.GenesisBranch, Gates: gates, Approvers: c.Hub.Approvers, LazyWait: c.Hub.LazyWait.Duration, Log: logger}
	if m != nil {
		o.Forge = func() any { return m.Status() }
	}
	if o.Settings, err = mergeSettings(c.Merge); err != nil {
		return err
	}
	h = hub.New(j, o)
	l, err := listenTLS(ctx, c.Hub.Listen, &c.Hub.TLS)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.Run(ctx) })
	if m != nil {
		group.Go(func() error { return m.Run(ctx) })
	}
	if m != nil && c.Hooks != nil {
		group.Go(func() error { return serveHooks(ctx, c.Hooks, m.Hint) })
	}
	group.Go(func() error { (&upkeep{log: logger, j: j}).run(ctx); return nil })
	group.Go(func() error { return serveHTTP(ctx, l, h.Handler(), 5*time.Second) })
	if c.StatusListen != "" {
		sl, err := listenTCP(ctx, c.StatusListen)
		if err != nil {
			return errors.Join(err, l.Close())
		}
		more := []prometheus.Collector{quarantineMetrics{h}, conflictMetrics{h}, trafficMetrics{h}}
		if m != nil {
			more = append(more, mirrorCollectors(m)...)
		}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answerHealth(w, j.Err()) })
		mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answerHealth(w, j.Err()) })
		mux.Handle("GET /metrics", metricsHandler(j, nil, more...))
		group.Go(func() error { return serveHTTP(ctx, sl, mux, time.Second) })
	}
	logger.Info("ready to receive branches", "listen", c.Hub.Listen)
	return group.Wait()
}
