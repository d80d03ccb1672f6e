// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

// wire reads what a sandbox's hub has received and sent: the bodies of all
// requests and answers, before TLS.
type wire struct {
	url string
	cmd *exec.Cmd
}

var forwarded = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+)`)

// tap forwards a port to the status listener of the cluster's hub.
func (b *bench) tap(ctx context.Context) (*wire, error) {
	w := &wire{cmd: exec.CommandContext(ctx, filepath.Join(b.bin, "kubectl"), "--kubeconfig", filepath.Join(sandbox.DefaultStateDir, "kubeconfig"),
		"port-forward", "deployment/blue-hub", ":2381")}
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("forward a port to the hub: %w", err)
	}
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("forward a port to the hub: %w; run make quickstart first", err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := forwarded.FindStringSubmatch(lines.Text()); m != nil {
			w.url = "http://" + m[1] + "/metrics"
			return w, nil
		}
	}
	return nil, errors.Join(errors.New("forward a port to the hub: kubectl gave none"), w.close())
}

func (w *wire) close() error {
	if err := w.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("stop kubectl port-forward: %w", err)
	}
	_ = w.cmd.Wait() // that it was killed is no news
	return nil
}

// bytes returns what the hub has received and sent since it started.
func (w *wire) bytes(ctx context.Context) (received, sent float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url, http.NoBody)
	if err != nil {
		return 0, 0, fmt.Errorf("read the hub's metrics: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, fmt.Errorf("read the hub's metrics: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return 0, 0, fmt.Errorf("read the hub's metrics: %w", err)
	}
	value := func(name string) float64 {
		if f := families[name]; f != nil && len(f.GetMetric()) > 0 {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
		err = fmt.Errorf("read the hub's metrics: there is no %s", name)
		return 0
	}
	received, sent = value("gitcd_hub_received_bytes_total"), value("gitcd_hub_sent_bytes_total")
	return received, sent, err
}
