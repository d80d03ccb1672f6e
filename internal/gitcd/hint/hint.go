// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hint listens to a forge's webhooks: a push there is a reason to look,
// and no more.
//
//	forge ── POST, signed ──► Handler ─► signature right? ─► tell ─► whoever polls looks now
//	                                          └─ no ─► 403
//
// GitHub, Gitea and Forgejo sign the body with HMAC-SHA-256 under a secret that
// both sides know; GitLab sends the secret itself.
//
// # Laws
//
//	W1 Only a hint.    Nothing of a body is used but for its signature: what is at the forge, the forge is asked.
//	W2 Signed or not.  Without a right signature nothing happens. Comparing takes the same time whatever was sent.
//	W3 Bounded.        A body has its limit, and the answer is given before anybody looks.
package hint

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
)

// longest is how much of a body is read: GitHub sends at most 25 MiB.
const longest = 25 << 20

// The headers that forges prove themselves with.
const (
	gitHub = "X-Hub-Signature-256" // also of Gitea and Forgejo; sha256=<hex>
	gitea  = "X-Gitea-Signature"   // <hex>
	gitLab = "X-Gitlab-Token"      // the secret
)

// Handler tells of each POST that is signed with the secret. The secret is asked
// for each time, so that it can rotate.
func Handler(secret func() (string, error), tell func()) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "webhooks are POSTed", http.StatusMethodNotAllowed)
			return
		}
		key, err := secret()
		if err != nil || key == "" {
			http.Error(w, "the secret cannot be read here", http.StatusInternalServerError)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, longest))
		if tooLong := (*http.MaxBytesError)(nil); errors.As(err, &tooLong) {
			http.Error(w, "the body is too long", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the body did not arrive", http.StatusBadRequest)
			return
		}
		if !proven(r.Header, key, body) {
			http.Error(w, "not signed with the secret that is configured here", http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		tell()
	})
}

// proven says whether the sender knows the secret (law W2).
func proven(h http.Header, secret string, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	want := mac.Sum(nil)
	for _, text := range []string{strings.TrimPrefix(h.Get(gitHub), "sha256="), h.Get(gitea)} {
		if got, err := hex.DecodeString(text); err == nil && hmac.Equal(got, want) {
			return true
		}
	}
	token := sha256.Sum256([]byte(h.Get(gitLab))) // of one length, so that none is told
	right := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(token[:], right[:]) == 1
}
