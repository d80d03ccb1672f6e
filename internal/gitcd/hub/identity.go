// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/transport"
)

// Admin is the common name of those who look after the hub. They read
// everything and push nothing.
const Admin = "hub-admin"

// The refs of a hub.
const (
	heads = "refs/heads/"
	// Main is the ref that all branches are merged into.
	Main = heads + "main"
	// Conflicts is the ref of the conflict records.
	Conflicts = heads + "conflicts"
	fenced    = "fenced/"
)

// ErrForbidden is wrapped by refusals for want of a right.
var ErrForbidden = errors.New("not allowed")

// errUnknownPeer is the answer to a request without a verified certificate.
var errUnknownPeer = errors.New("no verified client certificate; the hub serves over mutual TLS only")

// CommonName returns the common name of the verified client certificate.
func CommonName(r *http.Request) (string, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return "", errUnknownPeer
	}
	name := r.TLS.VerifiedChains[0][0].Subject.CommonName
	if name == "" {
		return "", fmt.Errorf("client certificate has no common name: %w", ErrForbidden)
	}
	return name, nil
}

type peerKey struct{}

// withPeer remembers who sends a request.
func withPeer(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, peerKey{}, name)
}

func peerOf(ctx context.Context) string {
	name, _ := ctx.Value(peerKey{}).(string)
	return name
}

// IsBranch says whether a name is one that a heaven's branch may have:
// heavens/<component> or nodes/<node>.
func IsBranch(name string) bool {
	kind, rest, ok := strings.Cut(name, "/")
	if !ok || kind != "heavens" && kind != "nodes" {
		return false
	}
	return rest != "" && !strings.Contains(rest, "/") && transport.CheckRefName(heads+name) == nil
}

// mayPush holds law H1.
func mayPush(peer, ref string) error {
	switch {
	case peer == Admin:
		return fmt.Errorf("%s reads everything and pushes nothing: %w", Admin, ErrForbidden)
	case !IsBranch(peer):
		return fmt.Errorf("certificate of %q: want a common name like heavens/<component> or nodes/<node>: %w", peer, ErrForbidden)
	case ref == heads+peer:
		return nil
	}
	if epoch, ok := strings.CutPrefix(ref, heads+fenced+peer+"/"); ok {
		if n, err := strconv.ParseUint(epoch, 10, 64); err == nil && n > 0 && strconv.FormatUint(n, 10) == epoch {
			return nil
		}
		return fmt.Errorf("%s: want an epoch's number at the end: %w", ref, ErrForbidden)
	}
	return fmt.Errorf("%s may push %s%s and what is below %s%s%s/, not %s: %w", peer, heads, peer, heads, fenced, peer, ref, ErrForbidden)
}

// mergeable says whether a ref is a branch that is merged into main.
func mergeable(ref string) bool {
	name, ok := strings.CutPrefix(ref, heads)
	if !ok {
		return false
	}
	if rest, ok := strings.CutPrefix(name, fenced); ok {
		branch, ok := cutLast(rest)
		return ok && IsBranch(branch)
	}
	return IsBranch(name)
}

// cutLast cuts the last part off a name.
func cutLast(s string) (before string, found bool) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, false
	}
	return s[:i], true
}
