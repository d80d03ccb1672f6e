// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package images makes container images from binaries and brings them into a
// containerd, where no registry is in reach.
//
//	bin/kube-apiserver ─► layer ─┐
//	rootfs (shared)    ─► layer ─┴► archive bin/images/NAME.tar ─► ctr images import
//
// # Laws
//
//  1. Equal inputs make equal bytes: no times, no owners, sorted entries. So an
//     image's digest says what is in it.
//  2. What is there is not made again: an archive is kept while its inputs are
//     what they were, and is imported only where its digest is not.
//  3. Layers are not compressed: they travel from disk to disk of one machine.
package images

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

// Image says how one image is made.
type Image struct {
	// Ref is the name it is imported under.
	Ref string
	// Binary is the name of a binary in the directory of binaries.
	Binary string
	// Path is where the binary lies in the image.
	Path string
	// Links are further paths that lead to the binary.
	Links []string
	// Arguments are given to the binary if the container names none.
	Arguments []string
	// User is who runs it; empty is root.
	User string
	// Borrows are files of this machine that it needs, with the libraries they need.
	Borrows []string
	// Worker says that workers of a cluster run it, so that sandbox machines are given it.
	Worker bool
}

const nonroot = "65532:65532"

// catalogue lists all images of the sandbox.
var catalogue = []Image{
	{Ref: sandbox.ImagePause, Binary: "pause", Path: "/pause", User: "65535:65535", Worker: true},
	{Ref: sandbox.ImageCoreDNS, Binary: "coredns", Path: "/coredns", Worker: true},
	{Ref: sandbox.ImageCertManager, Binary: "cert-manager", Path: "/cert-manager", User: nonroot},
	{Ref: sandbox.ImageAPIServer, Binary: "kube-apiserver", Path: "/usr/local/bin/kube-apiserver"},
	{Ref: sandbox.ImageControllerManager, Binary: "kube-controller-manager", Path: "/usr/local/bin/kube-controller-manager"},
	{Ref: sandbox.ImageScheduler, Binary: "kube-scheduler", Path: "/usr/local/bin/kube-scheduler"},
	{
		Ref: sandbox.ImageProxy, Binary: "kube-proxy", Path: "/usr/local/bin/kube-proxy",
		Borrows: []string{"/usr/sbin/xtables-nft-multi", "/usr/sbin/iptables*", "/usr/sbin/ip6tables*", "/usr/lib/*/xtables/*.so", "/usr/sbin/nft", "/usr/sbin/conntrack"},
	},
	{Ref: sandbox.ImageAgnhost, Binary: "agnhost", Path: "/agnhost", Links: []string{"/agnhost-2"}, Arguments: []string{"pause"}, Worker: true},
	{Ref: sandbox.ImageClusterAPI, Binary: "capi-manager", Path: "/manager", User: nonroot},
	{Ref: sandbox.ImageGitcd, Binary: "gitcd", Path: "/usr/local/bin/gitcd", Links: []string{"/gitcd"}, User: nonroot},
	{Ref: sandbox.ImageManager, Binary: "manager", Path: "/manager", User: nonroot},
}

// ErrUnknown is returned for a reference that the catalogue lacks.
var ErrUnknown = errors.New("the sandbox does not build this image")

// Select returns the images of these references, or all of them for none.
func Select(refs ...string) ([]Image, error) {
	if len(refs) == 0 {
		return slices.Clone(catalogue), nil
	}
	var found []Image
	for _, ref := range refs {
		i := slices.IndexFunc(catalogue, func(im Image) bool { return im.Ref == ref || im.Binary == ref })
		if i < 0 {
			return nil, fmt.Errorf("select image %q: %w; it builds %s", ref, ErrUnknown, known())
		}
		found = append(found, catalogue[i])
	}
	return found, nil
}

func known() string {
	names := make([]string, 0, len(catalogue))
	for _, im := range catalogue {
		names = append(names, im.Ref)
	}
	return strings.Join(names, ", ")
}

// archiveName is the file name of an image's archive.
func (im Image) archiveName() string {
	return strings.ReplaceAll(path.Base(im.Ref), ":", "_") + ".tar"
}
