// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
)

// FuzzServer sends anything to each service. The server answers, and takes
// nothing in that is not whole.
func FuzzServer(f *testing.F) {
	m := newMemory()
	tip := history(m, 4)
	m.refs["refs/heads/main"] = tip
	server := NewServer(m, ServerOptions{Receiver: m, Limits: Limits{TotalBytes: 1 << 20}})
	tree := rawTree(file("a", blob("a")))
	f.Add(true, "", request(packOf(f, blob("a"), tree, commitOf(tree)), Command{Name: "refs/heads/x", New: commitOf(tree).id()}))
	f.Add(false, "version=2", []byte("0014command=ls-refs\n0001000bpeel\n0000"))
	f.Add(false, "version=2", []byte("0012command=fetch\n00010032want "+tip.String()+"\n0009done\n0000"))
	f.Add(false, "", []byte("0032want "+tip.String()+"\n00000009done\n"))
	f.Fuzz(func(t *testing.T, push bool, version string, body []byte) {
		service, objects := uploadPack, len(m.objects)
		if push {
			service = receivePack
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/"+service, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/x-"+service+"-request")
		r.Header.Set("Git-Protocol", version)
		server.ServeHTTP(httptest.NewRecorder(), r)
		if !push && len(m.objects) != objects {
			t.Fatal("a fetch has changed the repository")
		}
	})
}
