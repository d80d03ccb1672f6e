// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// probeTimeout is how long an API server may take to say that it is ready.
const probeTimeout = 5 * time.Second

// Prober asks an API server whether it is ready.
type Prober interface {
	// Ready is nil if the API server that the kubeconfig leads to says that it is ready.
	Ready(ctx context.Context, kubeconfig []byte) error
}

// HTTPProber asks over HTTPS.
type HTTPProber struct{}

// Ready asks for /readyz. It needs no discovery, and leaves no connection behind.
func (HTTPProber) Ready(ctx context.Context, kubeconfig []byte) error {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	config.Timeout = probeTimeout
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("use kubeconfig: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(config.Host, "/")+"/readyz", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask the API server: %w", err)
	}
	request.Close = true
	response, err := httpClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the API server: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("read the API server's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the API server at %s is not ready: %s: %s", config.Host, response.Status, failing(string(answer)))
	}
	return nil
}

// failing are the checks of /readyz that fail, short enough for a condition.
func failing(answer string) string {
	var lines []string
	for line := range strings.Lines(answer) {
		if check, ok := strings.CutPrefix(line, "[-]"); ok {
			lines = append(lines, strings.TrimSpace(check))
		}
	}
	if len(lines) == 0 {
		lines = []string{strings.TrimSpace(answer)}
	}
	text := strings.Join(lines, "; ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return text
}
