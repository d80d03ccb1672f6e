// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/beat"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gate"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

const leasesKey = "/registry/leases/kube-node-lease/"

func leaseOf(name string, second int) string {
	return fmt.Sprintf(`{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":%[1]q,"namespace":"kube-node-lease","uid":"u-%[1]s"},"spec":{"holderIdentity":%[1]q,"renewTime":"2026-11-22T10:00:%02[2]d.000000Z"}}`, name, second)
}

func beatOf(name string, second int) beat.Beat {
	return beat.Beat{Key: leasesKey + name, UID: "u-" + name, Holder: name, Time: fmt.Sprintf("2026-11-22T10:00:%02d.000000Z", second)}
}

// say posts beats as a peer, and returns what is refused.
func (r *rig) say(as string, beats ...beat.Beat) []string {
	r.t.Helper()
	body, err := json.Marshal(hub.Beats{Beats: beats})
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+"/v1/beats", bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: asPeer(as)}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out hub.Refused
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return out.Refused
}

// hears returns the beats that a peer's stream tells of, one by one.
func (r *rig) hears(as string) <-chan beat.Beat {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	r.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/v1/watch?beats=1", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: asPeer(as)}).Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = resp.Body.Close() })
	out := make(chan beat.Beat, 100)
	go func() {
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			var line hub.Beats
			if json.Unmarshal(lines.Bytes(), &line) == nil {
				for _, b := range line.Beats {
					out <- b
				}
			}
		}
	}()
	return out
}

// TestBeats passes on who renewed a lease, to all but who said it, and nothing
// that is not main's, is in other hands, or is outside the gate (H9).
func TestBeats(t *testing.T) {
	r := start(t, hub.Options{Gates: gate.Defaults("heavens/front")})
	front := r.author("heavens/front")
	front.commit(map[string]string{leasesKey + "a": leaseOf("a", 0), leasesKey + "b": leaseOf("b", 0), "/registry/x": "1"})
	front.mustPush()
	main := r.main("heavens/front")
	before := r.hub.Status().Passes

	manager, node := r.hears("heavens/kube-controller-manager"), r.hears("nodes/a")
	taken := beatOf("a", 10)
	stolen, gone, other := beatOf("a", 20), beatOf("c", 10), beatOf("b", 10)
	stolen.Holder = "b"
	if refused := r.say("nodes/a", taken, stolen, gone, other); !slices.Equal(refused, []string{leasesKey + "a", leasesKey + "c", leasesKey + "b"}) {
		t.Errorf("refused: %q", refused)
	}
	r.say("nodes/b", beatOf("b", 11))
	r.say("nodes/a", beatOf("a", 5)) // older than what is known: no news
	r.say("nodes/a", beatOf("a", 30))
	expect := func(who string, from <-chan beat.Beat, last beat.Beat) {
		t.Helper()
		for {
			select {
			case b := <-from:
				if b == stolen || b == gone || b == other || who == "nodes/a" && b.Key == taken.Key {
					t.Fatalf("%s hears %+v", who, b)
				}
				if b == last {
					return
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("%s does not hear %+v", who, last)
			}
		}
	}
	expect("kube-controller-manager", manager, beatOf("a", 30))
	expect("nodes/a", node, beatOf("b", 11))
	late := r.hears("heavens/kube-controller-manager") // it hears the last of each
	for want := map[beat.Beat]bool{beatOf("a", 30): true, beatOf("b", 11): true}; len(want) > 0; {
		b := <-late
		if !want[b] {
			t.Fatalf("who comes late hears %+v", b)
		}
		delete(want, b)
	}
	if s := r.hub.Status(); s.Main != main.String() || s.Passes != before {
		t.Errorf("beats moved main: %+v", s)
	}
}
