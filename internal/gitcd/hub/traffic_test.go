// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
)

// TestTraffic counts what a question and its answer weigh, and a push.
func TestTraffic(t *testing.T) {
	r := start(t, hub.Options{})
	question := `{"beats":[` + strings.Repeat(" ", 1000) + `]}`
	_, answer := r.ask("heavens/a", http.MethodPost, "/v1/beats", question)
	got := r.hub.Status().Traffic
	if got.Received != int64(len(question)) || got.Sent != int64(len(answer)) {
		t.Errorf("counted %+v of %d and %d bytes", got, len(question), len(answer))
	}
	a := r.author("heavens/a")
	a.commit(map[string]string{"/registry/x": "1"})
	a.mustPush()
	if now := r.hub.Status().Traffic; now.Received <= got.Received || now.Sent <= got.Sent {
		t.Errorf("a push is not counted: %+v, before %+v", now, got)
	}
}
