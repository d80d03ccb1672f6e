// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
)

// order is what a client asks for in one push.
type order struct {
	commands []Command
	options  []string
	flags    map[string]bool // report-status, side-band-64k, push-options, ...
}

// The reasons for which a command is refused without asking the receiver.
var (
	// ErrDelete means that a push would delete a ref.
	ErrDelete = errors.New("deletion of refs is off")
	// ErrStale means that a ref is not at the value that it was to be moved from.
	ErrStale = errors.New("stale: the ref has moved; fetch first")
	errOther = errors.New("another ref of this push was refused; a push is taken whole or not at all")
)

// drain is how much of a refused pack is read before the answer.
const drain = 8 << 20

// receive answers POST /git-receive-pack.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, in *lineReader) {
	out := &lineWriter{w: w}
	if s.o.Receiver == nil {
		errorLine(out, errors.New("this repository takes no pushes"))
		return
	}
	q, err := readOrder(in, s.o.Limits)
	if err != nil {
		errorLine(out, err)
		return
	}
	if len(q.commands) == 0 {
		return // a probe: "0000"
	}
	results, unpack := s.push(r, in, q)
	if unpack != nil {
		for i := range results {
			results[i] = unpack
		}
	}
	// A client that is still sending hears of a refusal when its pack is read.
	io.Copy(io.Discard, io.LimitReader(in.r, drain)) //nolint:errcheck // the answer counts, not the rest of the question
	q.report(out, unpack, results)
}

// readOrder reads the commands and the push options.
func readOrder(in *lineReader, limits Limits) (*order, error) {
	q := &order{flags: map[string]bool{}}
	err := eachLine(in, func(line []byte) error {
		text, flags, _ := bytes.Cut(line, []byte{0})
		for flag := range strings.FieldsSeq(string(flags)) {
			q.flags[flag] = true
		}
		c, err := parseCommand(strings.TrimSuffix(string(text), "\n"))
		if err == nil && len(q.commands) >= limits.Commands {
			err = fmt.Errorf("a push may move %d refs, this one moves more: %w", limits.Commands, ErrLimit)
		}
		q.commands = append(q.commands, c)
		return err
	})
	if errors.Is(err, io.EOF) && len(q.commands) == 0 {
		return q, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read commands: %w", err)
	}
	if !q.flags["push-options"] || len(q.commands) == 0 {
		return q, nil
	}
	err = eachLine(in, func(line []byte) error {
		if len(q.options) >= limits.Commands {
			return fmt.Errorf("more than %d: %w", limits.Commands, ErrLimit)
		}
		q.options = append(q.options, strings.TrimSuffix(string(line), "\n"))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read push options: %w", err)
	}
	return q, nil
}

// eachLine yields the data of a message, up to its flush.
func eachLine(in *lineReader, yield func([]byte) error) error {
	for {
		kind, line, err := in.next()
		if err != nil {
			return err
		}
		if kind != packetData {
			return nil
		}
		if err := yield(line); err != nil {
			return err
		}
	}
}

func parseCommand(line string) (Command, error) {
	fields := strings.SplitN(line, " ", 3)
	if len(fields) != 3 {
		return Command{}, fmt.Errorf("command %.80q: want \"<old> <new> <ref>\": %w", line, errRequest)
	}
	from, err := gitobj.ParseID(fields[0])
	if err != nil {
		return Command{}, fmt.Errorf("command %.80q: %w: %w", line, errRequest, err)
	}
	to, err := gitobj.ParseID(fields[1])
	if err != nil {
		return Command{}, fmt.Errorf("command %.80q: %w: %w", line, errRequest, err)
	}
	return Command{Name: fields[2], Old: from, New: to}, nil
}

// push takes one push in. It returns why each command was refused, and what
// was wrong with the pack.
func (s *Server) push(r *http.Request, in *lineReader, q *order) (results []error, unpack error) {
	ctx := r.Context()
	results = s.o.Receiver.Admit(ctx, q.commands)
	refused := false
	seen := map[string]bool{}
	for i, c := range q.commands {
		switch err := CheckRefName(c.Name); {
		case err != nil:
			results[i] = err
		case c.New.IsZero():
			results[i] = ErrDelete
		case seen[c.Name]:
			results[i] = fmt.Errorf("%s is named twice: %w", c.Name, errRequest)
		}
		seen[c.Name] = true
		refused = refused || results[i] != nil
	}
	if refused {
		for i := range results {
			if results[i] == nil {
				results[i] = errOther
			}
		}
		return results, nil
	}
	tips := make([]gitobj.ID, len(q.commands))
	for i, c := range q.commands {
		tips[i] = c.New
	}
	came, err := readPack(ctx, in.r, s.repo, s.o.Limits)
	if err != nil {
		return results, err
	}
	kept, err := Complete(ctx, s.repo, came, tips)
	if err != nil {
		return results, err
	}
	if err := s.o.Receiver.Receive(ctx, Push{Commands: q.commands, Objects: kept, Options: q.options}); err != nil {
		for i := range results {
			results[i] = err
		}
	}
	return results, nil
}

// report tells the client what became of its push.
func (q *order) report(out *lineWriter, unpack error, results []error) {
	var text bytes.Buffer
	status := &lineWriter{w: &text}
	if unpack == nil {
		status.linef("unpack ok")
	} else {
		status.linef("unpack %s", oneLine(unpack))
	}
	for i, c := range q.commands {
		if results[i] == nil {
			status.linef("ok %s", c.Name)
		} else {
			status.linef("ng %s %s", c.Name, oneLine(results[i]))
		}
	}
	status.flush()
	if !q.flags["report-status"] {
		text.Reset()
	}
	if !q.flags["side-band-64k"] {
		out.raw(text.Bytes())
		return
	}
	fmt.Fprintf(bandWriter{out: out, band: bandData}, "%s", text.String())
	out.flush()
}
