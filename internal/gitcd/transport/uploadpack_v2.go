// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// advertiseV2 lists the commands of protocol 2.
func (s *Server) advertiseV2(out *lineWriter) {
	out.linef("version 2")
	out.linef("agent=%s", s.o.Agent)
	out.linef("ls-refs")
	out.linef("fetch")
	out.linef("object-format=sha1")
	out.flush()
}

// uploadV2 answers one command of protocol 2.
func (s *Server) uploadV2(ctx context.Context, out *lineWriter, in *lineReader) error {
	command, args, err := readCommand(in)
	if err != nil {
		return err
	}
	switch command {
	case "":
		return nil
	case "ls-refs":
		return s.lsRefs(out, args)
	case "fetch":
		return s.fetchV2(ctx, out, args)
	default:
		return fmt.Errorf("command %.40q is not offered by this server: %w", command, errRequest)
	}
}

// readCommand reads a command, passes over its capabilities, and returns its arguments.
func readCommand(in *lineReader) (command string, args []string, err error) {
	inArgs := false
	for {
		kind, line, err := in.text()
		switch {
		case errors.Is(err, io.EOF), err == nil && kind == packetFlush:
			return command, args, nil
		case err != nil:
			return "", nil, err
		case kind == packetDelim:
			inArgs = true
		case inArgs:
			if len(args) >= maxLines {
				return "", nil, fmt.Errorf("more than %d arguments: %w", maxLines, ErrLimit)
			}
			args = append(args, line)
		default:
			if name, ok := strings.CutPrefix(line, "command="); ok {
				command = name
			}
			if format, ok := strings.CutPrefix(line, "object-format="); ok && format != "sha1" {
				return "", nil, fmt.Errorf("object format %.20q, want sha1: %w", format, errRequest)
			}
		}
	}
}

// lsRefs lists refs.
func (s *Server) lsRefs(out *lineWriter, args []string) error {
	var prefixes []string
	symrefs := false
	for _, a := range args {
		if p, ok := strings.CutPrefix(a, "ref-prefix "); ok {
			prefixes = append(prefixes, p)
		}
		symrefs = symrefs || a == "symrefs"
	}
	if len(prefixes) == 0 {
		prefixes = []string{""}
	}
	if id, ok := s.repo.Refs(s.o.Head)[s.o.Head]; ok && matches("HEAD", prefixes) {
		if symrefs {
			out.linef("%s HEAD symref-target:%s", id, s.o.Head)
		} else {
			out.linef("%s HEAD", id)
		}
	}
	for _, r := range s.refs("refs/") {
		if matches(r.name, prefixes) {
			out.linef("%s %s", r.id, r.name)
		}
	}
	out.flush()
	return out.err
}

func matches(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// fetchV2 answers a fetch: with acknowledgements while the two sides look for
// common commits, and with the pack when one is found or the client is done.
func (s *Server) fetchV2(ctx context.Context, out *lineWriter, args []string) error {
	q := &wanted{flags: map[string]bool{"side-band-64k": true}}
	for _, line := range args {
		switch {
		case line == "done":
			q.done = true
		case strings.HasPrefix(line, "want "), strings.HasPrefix(line, "have "):
			if err := q.take(line); err != nil {
				return err
			}
		default:
			if err := unsupported(line); err != nil {
				return err
			}
			q.flags[line] = true
		}
	}
	if err := s.checkWants(q.wants); err != nil {
		return err
	}
	common := s.common(q.haves)
	if !q.done {
		out.linef("acknowledgments")
		for _, id := range common {
			out.linef("ACK %s", id)
		}
		if len(common) == 0 {
			out.linef("NAK")
			out.flush()
			return out.err
		}
		out.linef("ready")
		out.delim()
	}
	out.linef("packfile")
	return s.sendPack(ctx, out, q, common)
}
