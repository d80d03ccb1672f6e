// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Client talks to one repository on a Git server, stock or ours.
type Client struct {
	// URL is the repository's, as given to `git clone`: https://host/path.git.
	URL string
	// HTTP sends the requests; it brings certificates, tokens and time limits.
	HTTP *http.Client
	// Limits bound what a fetch takes in.
	Limits Limits
	// Agent is what the client calls itself. Default gitcd.
	Agent string
	// Foreign takes in trees as any Git repository has them: executables, symbolic links, submodules, names that begin
	// with .git. Without it law T2 holds for what is fetched.
	Foreign bool
}

// StatusError is an HTTP answer other than 200.
type StatusError struct {
	Code int
	URL  string
	Text string
	// RetryAfter is how long the server asks to be left alone, 0 if it does not say.
	RetryAfter time.Duration
}

// Error says what was asked and answered.
func (e *StatusError) Error() string {
	hint := ""
	switch e.Code {
	case http.StatusUnauthorized, http.StatusForbidden:
		hint = "; check the client certificate or token"
	case http.StatusNotFound:
		hint = "; check the repository's URL"
	case http.StatusTooManyRequests:
		hint = "; it asks for fewer requests"
	}
	return fmt.Sprintf("%s answers %d %s: %s%s", e.URL, e.Code, http.StatusText(e.Code), e.Text, hint)
}

// longestRetry bounds what a server may ask for.
const longestRetry = time.Hour

// retryAfter reads how long a server asks to be left alone: seconds, or a date
// by its own clock.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longestRetry)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), longestRetry)
}

// RejectedError says which commands of a push the server refused, and why.
type RejectedError struct {
	Reasons map[string]string // ref -> reason
}

// Error lists the refusals.
func (e *RejectedError) Error() string {
	var parts []string
	for name, reason := range e.Reasons {
		parts = append(parts, name+": "+reason)
	}
	return "push refused: " + strings.Join(parts, "; ")
}

func (c *Client) agent() string {
	if c.Agent == "" {
		return "gitcd"
	}
	return c.Agent
}

// post sends one request of a service and returns the answer's body.
func (c *Client) post(ctx context.Context, service, version string, body io.Reader) (io.ReadCloser, error) {
	url := strings.TrimSuffix(c.URL, "/") + "/" + service
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	req.Header.Set("Content-Type", "application/x-"+service+"-request")
	req.Header.Set("Accept", "application/x-"+service+"-result")
	req.Header.Set("User-Agent", "git/"+c.agent())
	if version != "" {
		req.Header.Set("Git-Protocol", version)
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, err := io.ReadAll(io.LimitReader(resp.Body, 512))
		if err != nil {
			text = []byte(err.Error())
		}
		return nil, &StatusError{Code: resp.StatusCode, URL: url, Text: strings.TrimSpace(string(text)), RetryAfter: retryAfter(resp.Header)}
	}
	return resp.Body, nil
}

// command begins a request of protocol 2.
func (c *Client) command(out *lineWriter, name string) {
	out.linef("command=%s", name)
	out.linef("agent=%s", c.agent())
	out.linef("object-format=sha1")
	out.delim()
}

// ListRefs returns the refs whose names begin with one of the prefixes, or all.
func (c *Client) ListRefs(ctx context.Context, prefixes ...string) (map[string]gitobj.ID, error) {
	var body bytes.Buffer
	out := &lineWriter{w: &body}
	c.command(out, "ls-refs")
	for _, p := range prefixes {
		out.linef("ref-prefix %s", p)
	}
	out.flush()
	resp, err := c.post(ctx, uploadPack, "version=2", &body)
	if err != nil {
		return nil, fmt.Errorf("list refs: %w", err)
	}
	defer resp.Close()
	refs := map[string]gitobj.ID{}
	in := newLineReader(resp)
	for {
		kind, line, err := in.text()
		if err != nil {
			return nil, fmt.Errorf("list refs: %w", unexpected(err))
		}
		if kind != packetData {
			return refs, nil
		}
		if err := remoteError(line); err != nil {
			return nil, fmt.Errorf("list refs: %w", err)
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return nil, fmt.Errorf("list refs: line %.80q: %w", line, errPacket)
		}
		id, err := gitobj.ParseID(fields[0])
		if err != nil {
			return nil, fmt.Errorf("list refs: %w", err)
		}
		if matches(fields[1], orAll(prefixes)) { // a server may send more than was asked for
			refs[fields[1]] = id
		}
	}
}

func orAll(prefixes []string) []string {
	if len(prefixes) == 0 {
		return []string{""}
	}
	return prefixes
}

// remoteError returns what the server says went wrong, if the line says so.
func remoteError(line string) error {
	if text, ok := strings.CutPrefix(line, "ERR "); ok {
		return fmt.Errorf("%w: %s", errRemote, text)
	}
	return nil
}

// unexpected makes an end of input in the middle of an answer an error of its own.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Fetch brings what the wants reach and the store lacks, verified (laws T1 to
// T4). The haves are commits of the store that the server may have too.
func (c *Client) Fetch(ctx context.Context, store Objects, wants, haves []gitobj.ID) ([]Object, error) {
	var body bytes.Buffer
	out := &lineWriter{w: &body}
	c.command(out, "fetch")
	out.linef("thin-pack")
	out.linef("no-progress")
	out.linef("ofs-delta")
	for _, id := range wants {
		out.linef("want %s", id)
	}
	for _, id := range haves {
		if store.Has(id) {
			out.linef("have %s", id)
		}
	}
	out.linef("done")
	out.flush()
	resp, err := c.post(ctx, uploadPack, "version=2", &body)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer resp.Close()
	in := newLineReader(resp)
	kind, line, err := in.text()
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", unexpected(err))
	}
	if err := remoteError(line); err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if kind != packetData || line != "packfile" {
		return nil, fmt.Errorf("fetch: %.80q where a packfile was due: %w", line, errPacket)
	}
	came, err := readPack(ctx, &bandReader{in: in}, store, c.Limits.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	kept, err := complete(ctx, store, came, wants, c.Foreign)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return kept, nil
}

// Push moves refs, all or none, and sends the items they need. It is one
// request: the server compares each command's Old with the ref (law T6). A
// refusal is a *RejectedError; what is at the server then, ListRefs tells.
func (c *Client) Push(ctx context.Context, store Objects, commands []Command, items []Item, options ...string) error {
	var head bytes.Buffer
	out := &lineWriter{w: &head}
	caps := "report-status atomic object-format=sha1 agent=" + c.agent()
	if len(options) > 0 {
		caps += " push-options"
	}
	for i, cmd := range commands {
		if i == 0 {
			out.linef("%s %s %s\x00%s", cmd.Old, cmd.New, cmd.Name, caps)
		} else {
			out.linef("%s %s %s", cmd.Old, cmd.New, cmd.Name)
		}
	}
	out.flush()
	if len(options) > 0 {
		for _, o := range options {
			out.linef("%s", o)
		}
		out.flush()
	}
	body, done := c.body(ctx, head.Bytes(), store, items)
	resp, err := c.post(ctx, receivePack, "", body)
	if err == nil {
		err = errors.Join(readReport(resp), resp.Close())
	}
	if err = errors.Join(err, done()); err != nil {
		return fmt.Errorf("push: %w", err)
	}
	return nil
}

// fewItems is how many items are packed before the request is sent: its length
// is then known, which every server and proxy takes. More are streamed.
const fewItems = 4096

// body returns a push's body, and a function that ends its sending and says how it went.
func (c *Client) body(ctx context.Context, head []byte, store Objects, items []Item) (io.Reader, func() error) {
	if len(items) <= fewItems {
		buf := bytes.NewBuffer(head)
		if err := writePack(ctx, buf, store, items); err != nil {
			return &failingReader{err: err}, func() error { return nil }
		}
		return bytes.NewReader(buf.Bytes()), func() error { return nil }
	}
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := writePack(ctx, w, store, items)
		w.CloseWithError(err)
		sent <- err
	}()
	finish := func() error {
		if err := r.Close(); err != nil {
			return fmt.Errorf("end the pack: %w", err)
		}
		if err := <-sent; err != nil && !errors.Is(err, io.ErrClosedPipe) {
			return err
		}
		return nil
	}
	return io.MultiReader(bytes.NewReader(head), r), finish
}

// failingReader makes a request fail with the error that its body met.
type failingReader struct{ err error }

// Read fails.
func (f *failingReader) Read([]byte) (int, error) { return 0, f.err }

// readReport reads a report-status answer.
func readReport(r io.Reader) error {
	in := newLineReader(r)
	unpacked := false
	rejected := &RejectedError{Reasons: map[string]string{}}
	for {
		kind, line, err := in.text()
		if err != nil {
			return fmt.Errorf("read report: %w", unexpected(err))
		}
		if kind != packetData {
			break
		}
		if err := remoteError(line); err != nil {
			return err
		}
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "unpack":
			unpacked = true
			if rest != "ok" {
				rejected.Reasons["pack"] = rest
			}
		case "ng":
			name, reason, _ := strings.Cut(rest, " ")
			rejected.Reasons[name] = reason
		}
	}
	if !unpacked {
		return fmt.Errorf("read report: no unpack line: %w", errPacket)
	}
	if len(rejected.Reasons) > 0 {
		return rejected
	}
	return nil
}
