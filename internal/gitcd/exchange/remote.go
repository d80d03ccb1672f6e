// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"k8s.io/utils/clock"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/beat"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/merge"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// ErrNoStream says that an upstream does not notify: it must be polled.
var ErrNoStream = errors.New("the upstream has no watch stream")

// looks is how often it is looked whether a stream has said something, in the time that it may say nothing.
const looks = 8

// errSilent says that a watch stream said nothing, not even that it lives.
var errSilent = errors.New("the watch stream has gone silent")

// Remote is an upstream over HTTP.
type Remote struct {
	transport.Client
	// WatchURL is where notices come from. Empty: the upstream has none.
	WatchURL string
	// BeatURL is where it is said that leases were renewed. Empty: the upstream passes nothing on.
	BeatURL string
	// Hears has the stream tell of the leases that others renew.
	Hears bool
	// Silence is how long a stream may say nothing. Default 30 s.
	Silence time.Duration
	// Clock measures the silence. Default the real one.
	Clock clock.Clock
	// Settings is told how the hub merges, before any head that it is told. Default: nobody is.
	Settings func(merge.Settings)
}

// NewHubRemote returns the upstream of a hub at a base URL, as https://host:8443.
func NewHubRemote(base string, client *http.Client) *Remote {
	base = strings.TrimSuffix(base, "/")
	return &Remote{Client: transport.Client{URL: base + "/repo.git", HTTP: client}, WatchURL: base + "/v1/watch", BeatURL: base + "/v1/beats"}
}

// NewGitRemote returns the upstream of a repository on a plain Git server.
func NewGitRemote(repository string, client *http.Client) *Remote {
	return &Remote{Client: transport.Client{URL: repository, HTTP: client}}
}

// notice is a line of the stream; see docs/formats/hub-protocol.md.
type notice struct {
	Ref  string    `json:"ref"`
	ID   gitobj.ID `json:"id"`
	From gitobj.ID `json:"from"`
	Pack int       `json:"pack"`
	// Beats come in lines of their own.
	Beats []beat.Beat `json:"beats"`
	// Merge is in the first line, which has nothing else.
	Merge *merge.Settings `json:"merge"`
}

// The bounds of a stream's lines, and of the packs between them.
const (
	longestLine = 128 << 10
	longestPack = 1 << 20
)

// errStream says that a stream is not one of a hub's.
var errStream = errors.New("malformed watch stream")

// read reads one notice, and the pack that follows it.
func (n *notice) read(in *bufio.Reader) (pack []byte, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(line, n); err != nil {
		return nil, fmt.Errorf("%w: %w", errStream, err)
	}
	if n.Pack < 0 || n.Pack > longestPack {
		return nil, fmt.Errorf("a pack of %d bytes: %w", n.Pack, errStream)
	}
	if n.Pack == 0 {
		return nil, nil
	}
	pack = make([]byte, n.Pack)
	_, err = io.ReadFull(in, pack)
	return pack, err
}

// Watch reads the hub's stream.
func (r *Remote) Watch(ctx context.Context, refs []string, tell func(Notice)) error {
	if r.WatchURL == "" {
		return ErrNoStream
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	query := url.Values{"ref": refs, "packs": {"1"}}
	if r.Hears {
		query.Set("beats", "1")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.WatchURL+"?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("watch %s: %w", r.WatchURL, err)
	}
	var heard atomic.Int64 // how many lines
	go r.listen(ctx, &heard, cancel)
	resp, err := r.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("watch %s: %w", r.WatchURL, reason(ctx, err))
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return fmt.Errorf("watch %s: %w", r.WatchURL, ErrNoStream)
	default:
		text, err := io.ReadAll(io.LimitReader(resp.Body, 512))
		if err != nil {
			text = []byte(err.Error())
		}
		return fmt.Errorf("watch: %w", &transport.StatusError{Code: resp.StatusCode, URL: r.WatchURL, Text: strings.TrimSpace(string(text))})
	}
	in := bufio.NewReaderSize(resp.Body, longestLine)
	for {
		var n notice
		pack, err := n.read(in)
		if err != nil {
			return fmt.Errorf("watch %s: %w", r.WatchURL, reason(ctx, err))
		}
		heard.Add(1)
		if n.Merge != nil && r.Settings != nil {
			r.Settings(*n.Merge)
		}
		if n.Ref != "" {
			tell(Notice{Ref: n.Ref, ID: n.ID, From: n.From, Pack: pack})
		}
		if len(n.Beats) > 0 {
			tell(Notice{Beats: n.Beats})
		}
	}
}

// listen ends the stream when nothing is heard for too long. It looks a few
// times in that time: to be woken by each line would be work for each line.
func (r *Remote) listen(ctx context.Context, heard *atomic.Int64, cancel context.CancelCauseFunc) {
	silence, clk := r.Silence, r.Clock
	if silence <= 0 {
		silence = 30 * time.Second
	}
	if clk == nil {
		clk = clock.RealClock{}
	}
	timer := clk.NewTimer(silence / looks)
	defer timer.Stop()
	for last, quiet := int64(0), 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		}
		if now := heard.Load(); now != last {
			last, quiet = now, 0
		} else if quiet++; quiet == looks {
			cancel(errSilent)
			return
		}
		timer.Reset(silence / looks)
	}
}

// reason prefers why a context ended to the error that this led to.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}
