// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// hubClient asks a hub as its administrator, or as one of its heavens.
type hubClient struct {
	config             string // of a heaven, in place of the others
	url, ca, cert, key string
	http               *http.Client
}

// flags adds the flags by which a hub is found.
func (c *hubClient) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&c.config, "config", "", "configuration file of a heaven: ask its hub, with its certificate")
	cmd.PersistentFlags().StringVar(&c.url, "hub", "", "URL of the hub, such as https://hub:8443")
	cmd.PersistentFlags().StringVar(&c.ca, "ca", "", "file with the authorities of the hub's certificate")
	cmd.PersistentFlags().StringVar(&c.cert, "cert", "", "file with a certificate: hub-admin's, or a heaven's")
	cmd.PersistentFlags().StringVar(&c.key, "key", "", "file with the key of --cert")
}

func (c *hubClient) open() error {
	if c.config != "" {
		file, err := loadConfig(c.config)
		if err != nil {
			return err
		}
		if file.Upstream == nil {
			return &usageError{fmt.Errorf("%s has no upstream: name the configuration of a heaven, or write --hub, --ca, --cert and --key", c.config)}
		}
		c.url, c.ca, c.cert, c.key = file.Upstream.URL, file.Upstream.CAFile, file.Upstream.CertFile, file.Upstream.KeyFile
	}
	if c.url == "" || c.ca == "" || c.cert == "" || c.key == "" {
		return &usageError{errors.New("write --config, or --hub, --ca, --cert and --key")}
	}
	c.url = strings.TrimSuffix(strings.TrimSuffix(c.url, "/"), "/repo.git")
	if u, err := url.Parse(c.url); err != nil || u.Scheme != "https" || u.Host == "" {
		return &usageError{fmt.Errorf("--hub %q: write a URL such as https://hub:8443", c.url)}
	}
	var err error
	c.http, err = (&keyFiles{certFile: c.cert, keyFile: c.key, caFile: c.ca}).client(time.Minute)
	return err
}

// notFoundError is the hub's answer to a name that it does not know.
type notFoundError struct{ text string }

func (e *notFoundError) Error() string { return e.text }

// ask sends a request, with a body in JSON unless it is nil, and returns the answer.
func (c *hubClient) ask(ctx context.Context, method, path string, body any) ([]byte, error) {
	var in io.Reader = http.NoBody
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("ask the hub: %w", err)
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, in)
	if err != nil {
		return nil, fmt.Errorf("ask the hub: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the hub: %w; is it running, and is the certificate of its authority?", err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the hub's answer: %w", err)
	}
	switch text := strings.TrimSpace(string(out)); {
	case resp.StatusCode == http.StatusNotFound:
		return nil, &notFoundError{text}
	case resp.StatusCode >= 300:
		return nil, fmt.Errorf("the hub refuses: %s (%s)", text, resp.Status)
	}
	return out, nil
}
