// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/conflict"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

// ask sends a request as somebody.
func (r *rig) ask(peer, method, path, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: asPeer(peer)}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// disagree makes a conflict about a key.
func (r *rig) disagree(key string) {
	r.t.Helper()
	a, b := r.author("heavens/a"), r.author("heavens/b")
	a.commit(map[string]string{key: `{"by":"base"}`})
	a.mustPush()
	b.take(r.main("heavens/a"))
	a.commit(map[string]string{key: `{"by":"a"}`})
	b.commit(map[string]string{key: `{"by":"b"}`})
	a.mustPush()
	r.main("heavens/a")
	b.mustPush()
	r.main("heavens/a", "heavens/b")
}

// TestResolve lists a conflict, shows it with both sides, and lets a person decide it, once.
func TestResolve(t *testing.T) {
	r := start(t, hub.Options{})
	r.disagree("/registry/opaque/x")
	records := r.hub.Status().Records
	if records.Filed != 1 || records.Open != 1 || len(records.Recent) != 1 || len(records.ByRule) != 1 {
		t.Fatalf("status: %+v", records)
	}
	seen := records.Recent[0]
	if seen.Number != 1 || seen.Key != "/registry/opaque/x" || seen.Rule == "" || seen.Took == seen.Other || seen.Other == "" {
		t.Errorf("the last conflict: %+v", seen)
	}
	if c := records.ByRule[0]; c.Branch != "heavens/b" || c.Count != 1 {
		t.Errorf("count: %+v", c)
	}

	var listed hub.ListedConflict
	code, body := r.ask("nodes/n", http.MethodGet, "/v1/conflicts", "")
	if err := json.Unmarshal([]byte(body), &listed); err != nil || code != http.StatusOK || listed.ID != seen.ID {
		t.Fatalf("list: %d %s: %v", code, body, err)
	}
	code, body = r.ask("nodes/n", http.MethodGet, "/v1/conflicts/"+seen.ID[:6], "")
	if err := json.Unmarshal([]byte(body), &listed); err != nil || code != http.StatusOK {
		t.Fatalf("show: %d %s: %v", code, body, err)
	}
	if sides := string(listed.Ours) + string(listed.Theirs); sides != `{"by":"a"}{"by":"b"}` || string(listed.Base) != `{"by":"base"}` {
		t.Errorf("shown: base %s, sides %s", listed.Base, sides)
	}

	resolve := "/v1/conflicts/" + seen.ID + "/resolve"
	for _, c := range []struct {
		peer, path, body string
		want             int
	}{
		{"heavens/a", resolve, `{"by":"a","decision":"seen"}`, http.StatusForbidden},
		{hub.Admin, resolve, `{"by":"jane","decision":"whatever"}`, http.StatusBadRequest},
		{hub.Admin, resolve, `{"decision":"seen"}`, http.StatusBadRequest},
		{hub.Admin, "/v1/conflicts/0000/resolve", `{"by":"jane","decision":"seen"}`, http.StatusNotFound},
		{hub.Admin, resolve, `{"by":"jane","decision":"seen","note":"a is right"}`, http.StatusOK},
		{hub.Admin, resolve, `{"by":"jane","decision":"seen"}`, http.StatusConflict},
	} {
		if code, body := r.ask(c.peer, http.MethodPost, c.path, c.body); code != c.want {
			t.Errorf("%s resolves with %s: %d %s, want %d", c.peer, c.body, code, body, c.want)
		}
	}
	if s := r.hub.Status().Records; s.Filed != 1 || s.Open != 0 {
		t.Errorf("afterwards: %+v", s)
	}
	if _, body := r.ask("nodes/n", http.MethodGet, "/v1/conflicts", ""); body != "" {
		t.Errorf("still open: %s", body)
	}
	_, body = r.ask("nodes/n", http.MethodGet, "/v1/conflicts?all", "")
	if err := json.Unmarshal([]byte(body), &listed); err != nil || listed.Record.Resolved == nil ||
		listed.Record.Resolved.By != "jane" || listed.Record.Resolved.Decision != conflict.Seen || listed.Record.Resolved.When.IsZero() {
		t.Errorf("resolved: %s: %v", body, err)
	}
	head, _ := r.journal.Ref(hub.Conflicts)
	if c := r.commit(head); c.Author.Name != "jane" || len(c.Parents) != 1 {
		t.Errorf("the commit is by %q and has %d parents", c.Author.Name, len(c.Parents))
	}

	// Another hub of the same repository counts alike, and does not open it again.
	if again := hub.New(r.journal, hub.Options{}).Status().Records; again.Filed != 1 || again.Open != 0 {
		t.Errorf("after a restart: %+v", again)
	}
}
