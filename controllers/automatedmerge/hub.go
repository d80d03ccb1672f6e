// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// HubStatus is what a hub says of itself at /v1/status, as far as it matters here.
type HubStatus struct {
	// Main is the head of main; empty while main does not exist.
	Main string `json:"main"`
	// Branches are all that were received.
	Branches []HubBranch `json:"branches"`
	// Records are the conflicts on record; nil from a hub that does not count them.
	Records *HubRecords `json:"records"`
	// Quarantine holds what gates kept out of main; nil from a hub that has no gates.
	Quarantine *HubQuarantine `json:"quarantine"`
	// Forge is nil if there is none.
	Forge *HubForge `json:"forge"`
	// LastError is why the last pass of merges came to nothing; empty if it did not.
	LastError string `json:"lastError"`
}

// HubBranch is what a hub says of a branch.
type HubBranch struct {
	Name   string `json:"name"`
	Head   string `json:"head"`
	Epoch  int64  `json:"epoch"`
	Holder string `json:"holder"`
	// LastPush is nil if there was none since the hub started.
	LastPush *time.Time `json:"lastPush"`
	// Merged is nil while a merge is due.
	Merged *bool `json:"merged"`
	// LastError is why the last push or merge of the branch was refused; empty if it was not.
	LastError string `json:"lastError"`
	// Quarantined is how many of its changes wait in quarantine.
	Quarantined int64 `json:"quarantined"`
}

// HubRecords are the conflicts on record.
type HubRecords struct {
	// Filed counts all, ever, Open those that nobody has resolved.
	Filed int64 `json:"filed"`
	Open  int64 `json:"open"`
	// Recent are the last since the hub started, the oldest first.
	Recent []HubConflict `json:"recent"`
}

// HubConflict names a conflict.
type HubConflict struct {
	// Number is Filed as it was when this one was filed.
	Number int64  `json:"number"`
	ID     string `json:"id"`
	Key    string `json:"key"`
	Path   string `json:"path"`
	Rule   string `json:"rule"`
	// Took is the branch whose word stands, Other the one whose word does not.
	Took  string `json:"took"`
	Other string `json:"other"`
}

// HubQuarantine holds what gates kept out of main.
type HubQuarantine struct {
	Waiting  int64 `json:"waiting"`
	Rejected int64 `json:"rejected"`
	// Total counts all, ever.
	Total int64 `json:"total"`
	// Since is when the oldest that waits came in.
	Since *time.Time `json:"since"`
	// Entries are the oldest ones, a hundred at most.
	Entries []HubHeld `json:"entries"`
}

// HubHeld is a change that a gate kept out of main.
type HubHeld struct {
	Branch string `json:"branch"`
	Key    string `json:"key"`
	Verb   string `json:"verb"`
	Gate   string `json:"gate"`
	// Kind is Outside for what no rule allows, Held for what is beyond a rate.
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
}

// HubForge says what the forge has.
type HubForge struct {
	URL       string `json:"url"`
	Connected bool   `json:"connected"`
	// OldestUnpushed is nil if the forge lacks nothing.
	OldestUnpushed *time.Time `json:"oldestUnpushed"`
	LastPush       *time.Time `json:"lastPush"`
	// LastError is what is wrong; empty if nothing is.
	LastError string `json:"lastError"`
	// Kept are refs with histories of the forge's that are not merged: a person must look.
	Kept []string `json:"kept"`
	// Branches are those that the forge lacks something of.
	Branches []HubForgeBranch `json:"branches"`
}

// HubForgeBranch is a branch that the forge lacks something of.
type HubForgeBranch struct {
	Name   string     `json:"name"`
	Oldest *time.Time `json:"oldest"`
}

// HubAddress is how a hub is reached, and by what it and we know each other.
type HubAddress struct {
	Endpoint heavenv1.Endpoint
	// CA signs the hub's certificate; Cert and Key are ours. All are PEM.
	CA, Cert, Key []byte
}

// HubReader asks a hub how it is.
type HubReader interface {
	Status(context.Context, HubAddress) (HubStatus, error)
}

const (
	hubTimeout = 5 * time.Second

	// longestAnswer bounds what is read: some hundred bytes for each of some thousand branches.
	longestAnswer = 8 << 20
)

// HTTPHubs asks hubs over HTTPS, with certificates on both sides.
type HTTPHubs struct{}

// Status asks one hub. Each question has a connection of its own: certificates change, and questions are rare.
func (HTTPHubs) Status(ctx context.Context, address HubAddress) (HubStatus, error) {
	pair, err := tls.X509KeyPair(address.Cert, address.Key)
	if err != nil {
		return HubStatus{}, fmt.Errorf("read client certificate for the hub: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(address.CA) {
		return HubStatus{}, fmt.Errorf("read certificate authority of the hub: no PEM certificate found")
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{pair}},
	}
	client := &http.Client{Transport: transport, Timeout: hubTimeout}
	target := url.URL{
		Scheme: "https",
		Host:   net.JoinHostPort(address.Endpoint.Host, strconv.Itoa(int(address.Endpoint.Port))),
		Path:   "/v1/status",
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return HubStatus{}, fmt.Errorf("ask the hub: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return HubStatus{}, fmt.Errorf("ask the hub: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	if err != nil {
		return HubStatus{}, fmt.Errorf("read the hub's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return HubStatus{}, fmt.Errorf("ask the hub: it answered %s: %s", response.Status, firstLine(body))
	}
	var status HubStatus
	if err := json.Unmarshal(body, &status); err != nil {
		return HubStatus{}, fmt.Errorf("read the hub's answer: %w", err)
	}
	return status, nil
}

func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	if len(line) > 200 {
		line = strings.ToValidUTF8(line[:200], "") + "…"
	}
	return line
}
