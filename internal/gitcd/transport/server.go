// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// Push is one push as it arrived: verified objects (laws T1 to T4) and the
// moves of refs that it asks for.
type Push struct {
	Commands []Command
	// Objects are new to the repository; each comes after what it names.
	Objects []Object
	// Options are what the pusher said with `git push -o`.
	Options []string
}

// Receiver takes pushes in.
type Receiver interface {
	// Admit says, for each command, why it is refused, or nil. It is asked
	// before a byte of the pack is read.
	Admit(ctx context.Context, commands []Command) []error
	// Receive stores the objects and moves the refs, all of it durable, or
	// nothing: a command's Old is not the ref's value, say. It returns after that.
	Receive(ctx context.Context, push Push) error
}

// ServerOptions configures a Server. The zero value serves reads only.
type ServerOptions struct {
	// Receiver takes pushes. Without one, pushes are refused.
	Receiver Receiver
	// Limits bound what is taken in.
	Limits Limits
	// Head is the branch that a clone checks out. Default refs/heads/main.
	Head string
	// Agent is what the server calls itself. Default gitcd.
	Agent string
}

// Server serves one repository over HTTP, at the paths /info/refs,
// /git-upload-pack and /git-receive-pack.
type Server struct {
	repo  Repository
	o     ServerOptions
	packs packCache
}

// NewServer returns a server of the repository.
func NewServer(repo Repository, o ServerOptions) *Server {
	o.Limits = o.Limits.withDefaults()
	if o.Head == "" {
		o.Head = "refs/heads/main"
	}
	if o.Agent == "" {
		o.Agent = "gitcd"
	}
	return &Server{repo: repo, o: o}
}

const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
)

// ServeHTTP answers one request of the smart protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/info/refs" && r.Method == http.MethodGet:
		s.advertise(w, r)
	case r.URL.Path == "/"+uploadPack && r.Method == http.MethodPost:
		s.post(w, r, uploadPack, s.upload)
	case r.URL.Path == "/"+receivePack && r.Method == http.MethodPost:
		s.post(w, r, receivePack, s.receive)
	case r.URL.Path == "/info/refs", r.URL.Path == "/"+uploadPack, r.URL.Path == "/"+receivePack:
		http.Error(w, "wrong method for "+r.URL.Path, http.StatusMethodNotAllowed)
	default:
		http.Error(w, "no such path; this server speaks Git's smart HTTP protocol only", http.StatusNotFound)
	}
}

// post answers one POST of a service.
func (s *Server) post(w http.ResponseWriter, r *http.Request, service string, serve func(http.ResponseWriter, *http.Request, *lineReader)) {
	if got, want := r.Header.Get("Content-Type"), "application/x-"+service+"-request"; got != want {
		http.Error(w, fmt.Sprintf("content type is %q, want %q", got, want), http.StatusUnsupportedMediaType)
		return
	}
	body := r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		zipped, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, "body is not gzip: "+err.Error(), http.StatusBadRequest)
			return
		}
		body = zipped
	}
	// A request's lines are few: what is above the pack's limit is not for lines.
	limited := &limitedReader{r: body, left: s.o.Limits.PackBytes + 1<<20}
	header := w.Header()
	header.Set("Content-Type", "application/x-"+service+"-result")
	header.Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	serve(w, r, newLineReader(limited))
}

// limitedReader fails, other than io.LimitReader, when the limit is passed.
type limitedReader struct {
	r    io.Reader
	left int64
}

// Read reads within the limit.
func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("read request: too many bytes: %w", ErrLimit)
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}

// protocol returns the version that the client asks for.
func protocol(r *http.Request) int {
	version := 0
	for part := range strings.SplitSeq(r.Header.Get("Git-Protocol"), ":") {
		switch part {
		case "version=1":
			version = max(version, 1)
		case "version=2":
			version = max(version, 2)
		}
	}
	return version
}

// advertise answers GET /info/refs.
func (s *Server) advertise(w http.ResponseWriter, r *http.Request) {
	service := r.URL.Query().Get("service")
	if service != uploadPack && service != receivePack {
		http.Error(w, "want ?service=git-upload-pack or git-receive-pack; the dumb protocol is not served", http.StatusForbidden)
		return
	}
	if service == receivePack && s.o.Receiver == nil {
		http.Error(w, "this repository takes no pushes", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/x-"+service+"-advertisement")
	w.Header().Set("Cache-Control", "no-cache, max-age=0, must-revalidate")
	out := &lineWriter{w: w}
	version := protocol(r)
	if service == uploadPack && version == 2 {
		s.advertiseV2(out)
		return
	}
	out.linef("# service=%s", service)
	out.flush()
	if version == 1 {
		out.linef("version 1")
	}
	s.advertiseRefs(out, s.capabilities(service))
}

func (s *Server) capabilities(service string) string {
	common := "ofs-delta side-band-64k object-format=sha1 agent=" + s.o.Agent
	if service == receivePack {
		return "report-status atomic push-options quiet " + common
	}
	caps := "multi_ack_detailed thin-pack no-progress include-tag allow-tip-sha1-in-want allow-reachable-sha1-in-want " + common
	if _, ok := s.repo.Refs(s.o.Head)[s.o.Head]; ok {
		caps += " symref=HEAD:" + s.o.Head
	}
	return caps
}

// ref is one line of an advertisement.
type ref struct {
	name string
	id   gitobj.ID
}

// refs returns HEAD, if there is one, and the refs with a prefix, in order.
func (s *Server) refs(prefix string) []ref {
	all := s.repo.Refs(prefix)
	out := make([]ref, 0, len(all)+1)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, ref{name: name, id: all[name]})
	}
	return out
}

func (s *Server) advertiseRefs(out *lineWriter, caps string) {
	lines := s.refs("refs/")
	if id, ok := s.repo.Refs(s.o.Head)[s.o.Head]; ok {
		lines = append([]ref{{name: "HEAD", id: id}}, lines...)
	}
	if len(lines) == 0 {
		lines = []ref{{name: "capabilities^{}"}}
	}
	for i, l := range lines {
		if i == 0 {
			out.linef("%s %s\x00%s", l.id, l.name, caps)
			continue
		}
		out.linef("%s %s", l.id, l.name)
	}
	out.flush()
}

// errorLine tells the client, in the protocol's own way, what is wrong.
func errorLine(out *lineWriter, err error) {
	out.linef("ERR %s", oneLine(err))
}

// oneLine makes an error fit for a packet line.
func oneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 900 {
		text = text[:900] + "..."
	}
	return text
}
