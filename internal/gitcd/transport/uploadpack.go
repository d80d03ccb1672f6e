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
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// wanted is what a client asks for in one request.
type wanted struct {
	wants, haves []gitobj.ID
	done         bool            // no more haves will come
	flags        map[string]bool // side-band-64k, thin-pack, no-progress, ...
}

// maxLines bounds how many wants and haves a request may hold.
const maxLines = 1 << 16

// errRequest is wrapped by errors about a request that breaks the protocol.
var errRequest = errors.New("malformed request")

// take notes one "want <id>" or "have <id>" line.
func (q *wanted) take(line string) error {
	word, value, _ := strings.Cut(line, " ")
	id, err := gitobj.ParseID(value)
	if err != nil {
		return fmt.Errorf("%s: %w", word, err)
	}
	if len(q.wants)+len(q.haves) >= maxLines {
		return fmt.Errorf("more than %d wants and haves: %w", maxLines, ErrLimit)
	}
	if word == "want" {
		q.wants = append(q.wants, id)
	} else {
		q.haves = append(q.haves, id)
	}
	return nil
}

// unsupported says which lines ask for what this server does not offer.
func unsupported(line string) error {
	for _, word := range []string{"shallow ", "deepen", "filter ", "want-ref "} {
		if strings.HasPrefix(line, word) {
			return fmt.Errorf("%q is not offered by this server, fetch the whole history: %w", strings.TrimSpace(word), errRequest)
		}
	}
	return nil
}

// checkWants says whether each want is a commit that is here.
func (s *Server) checkWants(wants []gitobj.ID) error {
	for _, id := range wants {
		if !s.repo.Has(id) {
			return fmt.Errorf("not our ref %s: %w", id, errRequest)
		}
		if _, err := readCommit(s.repo, id); err != nil {
			return fmt.Errorf("want a commit: %w", err)
		}
	}
	return nil
}

// common returns the haves that are here.
func (s *Server) common(haves []gitobj.ID) []gitobj.ID {
	var out []gitobj.ID
	for _, id := range haves {
		if s.repo.Has(id) {
			out = append(out, id)
		}
	}
	return out
}

// upload answers POST /git-upload-pack.
func (s *Server) upload(w http.ResponseWriter, r *http.Request, in *lineReader) {
	out := &lineWriter{w: w}
	var err error
	if protocol(r) == 2 {
		err = s.uploadV2(r.Context(), out, in)
	} else {
		err = s.uploadV0(r.Context(), out, in)
	}
	if err != nil && out.err == nil {
		errorLine(out, err)
	}
}

// uploadV0 answers a fetch of protocol 0 or 1: wants, a flush, haves, and
// "done" when the client has named all it wants to name.
func (s *Server) uploadV0(ctx context.Context, out *lineWriter, in *lineReader) error {
	q, err := readWants(in)
	if err != nil || len(q.wants) == 0 {
		return err
	}
	if err := readHaves(in, q); err != nil {
		return err
	}
	if err := s.checkWants(q.wants); err != nil {
		return err
	}
	common := s.common(q.haves)
	detailed := q.flags["multi_ack_detailed"]
	for _, id := range common {
		if detailed {
			out.linef("ACK %s common", id)
		}
	}
	if !q.done {
		if detailed && len(common) > 0 {
			out.linef("ACK %s ready", common[len(common)-1])
		}
		if detailed || len(common) == 0 {
			out.linef("NAK")
		} else {
			out.linef("ACK %s", common[0])
		}
		return out.err
	}
	if len(common) == 0 {
		out.linef("NAK")
	} else {
		out.linef("ACK %s", common[len(common)-1])
	}
	return s.sendPack(ctx, out, q, common)
}

// readWants reads the wants and, behind the first, what the client can do.
func readWants(in *lineReader) (*wanted, error) {
	q := &wanted{flags: map[string]bool{}}
	for {
		kind, line, err := in.text()
		if errors.Is(err, io.EOF) || err == nil && kind != packetData {
			return q, nil
		}
		if err != nil {
			return nil, err
		}
		if err := unsupported(line); err != nil {
			return nil, err
		}
		if len(q.wants) == 0 && len(line) > len("want ")+2*gitobj.IDSize {
			at := len("want ") + 2*gitobj.IDSize
			for flag := range strings.FieldsSeq(line[at:]) {
				q.flags[flag] = true
			}
			line = line[:at]
		}
		if !strings.HasPrefix(line, "want ") {
			return nil, fmt.Errorf("%.60q where a want was due: %w", line, errRequest)
		}
		if err := q.take(line); err != nil {
			return nil, err
		}
	}
}

// readHaves reads the haves up to "done" or the end of the request.
func readHaves(in *lineReader, q *wanted) error {
	for {
		kind, line, err := in.text()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case kind == packetFlush:
		case line == "done":
			q.done = true
			return nil
		case strings.HasPrefix(line, "have "):
			if err := q.take(line); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%.60q where a have was due: %w", line, errRequest)
		}
	}
}

// walkMemory is how much of the store one request remembers while it walks.
const walkMemory = 8 << 20

// sendPack sends what the wants reach and the common commits do not.
func (s *Server) sendPack(ctx context.Context, out *lineWriter, q *wanted, common []gitobj.ID) error {
	data, count := s.packs.share(ctx, packKey(q.wants, common, q.thin()), func() ([]byte, int) {
		return s.smallPack(ctx, q, common)
	})
	if data != nil {
		return s.send(out, q, count, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
	}
	store := NewRecent(s.repo, walkMemory)
	items, err := q.items(ctx, store, common)
	if err != nil {
		return err
	}
	return s.send(out, q, len(items), func(w io.Writer) error { return writePack(ctx, w, store, items) })
}

// smallPack makes a pack that is worth sharing, or none.
func (s *Server) smallPack(ctx context.Context, q *wanted, common []gitobj.ID) ([]byte, int) {
	if len(common) == 0 {
		return nil, 0 // a clone
	}
	store := NewRecent(s.repo, walkMemory)
	items, err := q.items(ctx, store, common)
	if err != nil || len(items) > sharedItems {
		return nil, 0
	}
	var packed bytes.Buffer
	if err := writePack(ctx, &packed, store, items); err != nil || packed.Len() > sharedBytes {
		return nil, 0
	}
	return packed.Bytes(), len(items)
}

func (q *wanted) items(ctx context.Context, store Objects, common []gitobj.ID) ([]Item, error) {
	items, err := Missing(ctx, store, q.wants, common)
	if err == nil && !q.thin() {
		dropOuterBases(items)
	}
	return items, err
}

// send sends a pack in the form that the client asked for.
func (s *Server) send(out *lineWriter, q *wanted, count int, write func(io.Writer) error) error {
	if !q.flags["side-band-64k"] {
		return write(out.w)
	}
	if !q.flags["no-progress"] {
		fmt.Fprintf(bandWriter{out: out, band: bandProgress}, "%s sends %d objects.\n", s.o.Agent, count)
	}
	if err := write(bandWriter{out: out, band: bandData}); err != nil {
		fmt.Fprintf(bandWriter{out: out, band: bandError}, "%s\n", oneLine(err))
		return nil
	}
	out.flush()
	return nil
}

func (q *wanted) thin() bool { return q.flags["thin-pack"] }

// dropOuterBases forgets the bases that are not in the list itself.
func dropOuterBases(items []Item) {
	sent := make(map[gitobj.ID]struct{}, len(items))
	for i := range items {
		if _, ok := sent[items[i].Base]; !ok {
			items[i].Base = gitobj.Zero
		}
		sent[items[i].ID] = struct{}{}
	}
}
