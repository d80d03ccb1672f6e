// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hint_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hint"
)

const secret = "between you and me"

func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// TestHandler holds laws W1 to W3.
func TestHandler(t *testing.T) {
	t.Parallel()
	body := []byte(`{"ref":"refs/heads/main","after":"0123"}`)
	right := sign(secret, body)
	for name, c := range map[string]struct {
		method string
		header [2]string
		body   []byte
		secret string
		err    error
		code   int
		told   int
	}{
		"GitHub":            {header: [2]string{"X-Hub-Signature-256", "sha256=" + right}, code: 204, told: 1},
		"Gitea":             {header: [2]string{"X-Gitea-Signature", right}, code: 204, told: 1},
		"GitLab":            {header: [2]string{"X-Gitlab-Token", secret}, code: 204, told: 1},
		"nothing in it":     {header: [2]string{"X-Gitea-Signature", sign(secret, nil)}, body: []byte{}, code: 204, told: 1},
		"not signed":        {code: 403},
		"another secret":    {header: [2]string{"X-Hub-Signature-256", "sha256=" + sign("x", body)}, code: 403},
		"another body":      {header: [2]string{"X-Hub-Signature-256", "sha256=" + right}, body: []byte("{}"), code: 403},
		"half a signature":  {header: [2]string{"X-Gitea-Signature", right[:32]}, code: 403},
		"no hexadecimal":    {header: [2]string{"X-Gitea-Signature", "zz"}, code: 403},
		"an empty token":    {header: [2]string{"X-Gitlab-Token", ""}, code: 403},
		"GET":               {method: http.MethodGet, header: [2]string{"X-Gitlab-Token", secret}, code: 405},
		"too long":          {header: [2]string{"X-Gitlab-Token", secret}, body: make([]byte, 26<<20), code: 413},
		"the file is gone":  {header: [2]string{"X-Gitlab-Token", secret}, err: errors.New("gone"), code: 500},
		"the file is empty": {header: [2]string{"X-Gitlab-Token", ""}, secret: "-", code: 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := 0
			h := hint.Handler(func() (string, error) {
				if c.secret == "-" {
					return "", c.err
				}
				return secret, c.err
			}, func() { told++ })
			if c.method == "" {
				c.method = http.MethodPost
			}
			if c.body == nil {
				c.body = body
			}
			r := httptest.NewRequestWithContext(t.Context(), c.method, "/hooks/forge", bytes.NewReader(c.body))
			if c.header[0] != "" {
				r.Header.Set(c.header[0], c.header[1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.code || told != c.told {
				t.Errorf("answered %d, told %d times, want %d and %d", w.Code, told, c.code, c.told)
			}
		})
	}
}
