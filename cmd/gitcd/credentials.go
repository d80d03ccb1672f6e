// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// The environment's user and password, for any host that a pull names.
const (
	usernameVariable = "GIT_CREDENTIAL_USERNAME"
	passwordVariable = "GIT_CREDENTIAL_PASSWORD" //nolint:gosec // the name of a variable
)

// gitClient returns a client of a plain Git repository that is pulled from.
func gitClient(p *gitcdv1.Pull) (*transport.Client, error) {
	client, err := forgeClient(p.URL, &keyFiles{certFile: p.CertFile, keyFile: p.KeyFile, caFile: p.CAFile}, &p.Credentials)
	if err != nil {
		return nil, err
	}
	return &transport.Client{URL: p.URL, Foreign: true, HTTP: client}, nil
}

// forgeClient returns a client of a Git server that asks for a user and a password, or for a certificate.
func forgeClient(repository string, files *keyFiles, from *gitcdv1.Credentials) (*http.Client, error) {
	target, err := url.Parse(repository)
	if err != nil {
		return nil, &usageError{fmt.Errorf("%s is not a URL", repository)}
	}
	base := http.DefaultTransport
	if files.caFile != "" || files.certFile != "" {
		c, err := files.client(0)
		if err != nil {
			return nil, err
		}
		base = c.Transport
	}
	return &http.Client{Transport: &credentials{from: from, target: target, next: base}}, nil
}

// credentials adds user and password to the requests to one host. They are read
// for each request, so that they rotate without a restart, and go nowhere else:
// not to where the host redirects to, and into no error and no log.
type credentials struct {
	from   *gitcdv1.Credentials
	target *url.URL
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c *credentials) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != c.target.Host || req.URL.Scheme != c.target.Scheme {
		return c.next.RoundTrip(req)
	}
	user, password, err := c.find()
	if err != nil {
		return nil, err
	}
	if user != "" || password != "" {
		req = req.Clone(req.Context())
		req.SetBasicAuth(user, password)
	}
	return c.next.RoundTrip(req)
}

// find looks, in this order, into the files of the configuration, the
// environment, and where git credential-store keeps its own.
func (c *credentials) find() (user, password string, err error) {
	if c.from.UsernameFile != "" {
		if user, err = readSecret(c.from.UsernameFile); err != nil {
			return "", "", err
		}
		password, err = readSecret(c.from.PasswordFile)
		return user, password, err
	}
	if c.from.CredentialsFile != "" {
		user, password, found, err := stored(c.from.CredentialsFile, c.target)
		if err == nil && !found {
			err = fmt.Errorf("%s has no line for %s://%s", c.from.CredentialsFile, c.target.Scheme, c.target.Host)
		}
		return user, password, err
	}
	if user, password = os.Getenv(usernameVariable), os.Getenv(passwordVariable); user != "" || password != "" {
		return user, password, nil
	}
	for _, file := range ownStores() {
		user, password, found, err := stored(file, c.target)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if found || err != nil {
			return user, password, err
		}
	}
	return "", "", nil
}

// ownStores are the files of git credential-store.
func ownStores() []string {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(home, ".config")
	}
	return []string{filepath.Join(home, ".git-credentials"), filepath.Join(config, "git", "credentials")}
}

func readSecret(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read credentials: %w", err)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// stored returns what a file of git credential-store has for a URL: the first
// line of its scheme and host whose path, if it has one, begins the URL's.
func stored(file string, target *url.URL) (user, password string, found bool, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", "", false, fmt.Errorf("read credentials: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		u, err := url.Parse(strings.TrimSpace(lines.Text()))
		if err != nil || u.User == nil || u.Scheme != target.Scheme || u.Host != target.Host {
			continue // an error would have the password in it
		}
		if path := strings.Trim(u.Path, "/"); path != "" && !strings.HasPrefix(strings.Trim(target.Path, "/")+"/", path+"/") {
			continue
		}
		password, _ := u.User.Password()
		return u.User.Username(), password, true, nil
	}
	return "", "", false, lines.Err()
}
