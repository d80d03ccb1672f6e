// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"io"
	"net/http"
	"sync/atomic"
)

// Traffic is what went over the wire since the hub started: the bytes of bodies,
// before TLS and without HTTP's headers.
type Traffic struct {
	// Received is what peers sent: packs with their commands, questions, beats.
	Received int64 `json:"receivedBytes"`
	// Sent is what they were sent: news with their packs, answers.
	Sent int64 `json:"sentBytes"`
}

type traffic struct{ received, sent atomic.Int64 }

func (t *traffic) status() Traffic { return Traffic{t.received.Load(), t.sent.Load()} }

// counted counts what a handler reads and writes.
func (t *traffic) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = countedBody{r.Body, &t.received}
		next.ServeHTTP(countedWriter{w, &t.sent}, r)
	})
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

type countedWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w countedWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}

// Unwrap is for http.ResponseController, which flushes streams.
func (w countedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
