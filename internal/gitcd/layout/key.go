// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The names with a meaning. They are on disk and never change.
const (
	// Self is the name of a key's file in the directory of the keys below it.
	Self = "%"
	// Rootless is the top directory of keys without a leading slash.
	Rootless = "%-"
	// empty stands for nothing between two slashes.
	empty = "%_"
	// more ends the name of each piece of a long component but the last.
	more = "%+"
	// pieceSize is the length above which a component is cut.
	pieceSize = 200
)

// ErrNotCanonical is wrapped by errors about a path that no key has.
var ErrNotCanonical = errors.New("path is not a key's")

const hexDigits = "0123456789ABCDEF"

// Split returns the components of a key's path.
func Split(key string) []string {
	comps := make([]string, 0, strings.Count(key, "/")+1)
	rest, rooted := strings.CutPrefix(key, "/")
	if !rooted {
		comps = append(comps, Rootless)
	}
	for part := range strings.SplitSeq(rest, "/") {
		comps = appendComponent(comps, part)
	}
	return comps
}

// Path returns a key's path as Git prints it.
func Path(key string) string { return strings.Join(Split(key), "/") }

func appendComponent(comps []string, part string) []string {
	if part == "" {
		return append(comps, empty)
	}
	if plain(part) {
		return append(comps, part)
	}
	var piece []byte
	for i := range len(part) {
		if len(piece) >= pieceSize-2 { // the next byte might take three
			comps = append(comps, hideDot(string(piece))+more)
			piece = piece[:0]
		}
		piece = appendByte(piece, part[i])
	}
	return append(comps, hideDot(string(piece)))
}

// plain says whether a component is stored as it is: the common case, without a copy.
func plain(part string) bool {
	if part[0] == '.' || len(part) > pieceSize-2 {
		return false
	}
	for i := range len(part) {
		if special(part[i]) {
			return false
		}
	}
	return true
}

func special(c byte) bool {
	return c < 0x21 || c >= 0x7f || strings.IndexByte(`%\:"*<>|?~`, c) >= 0
}

func appendByte(dst []byte, c byte) []byte {
	if special(c) {
		return append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
	}
	return append(dst, c)
}

// hideDot encodes the first dot of a name that Git would refuse.
func hideDot(name string) string {
	if name == "." || name == ".." || len(name) >= 4 && strings.EqualFold(name[:4], ".git") {
		return "%2E" + name[1:]
	}
	return name
}

// Join returns the key whose path has these components.
func Join(comps []string) (string, error) {
	key, err := join(comps)
	if err != nil {
		return "", fmt.Errorf("join path %q: %w", strings.Join(comps, "/"), err)
	}
	return key, nil
}

func join(comps []string) (string, error) {
	if len(comps) > 1 && comps[len(comps)-1] == Self {
		comps = comps[:len(comps)-1]
	}
	if len(comps) == 0 {
		return "", ErrNotCanonical
	}
	var key strings.Builder
	rest := comps
	if comps[0] == Rootless {
		rest = comps[1:]
	}
	slash := comps[0] != Rootless
	for _, comp := range rest {
		if slash {
			key.WriteByte('/')
		}
		body, cut := strings.CutSuffix(comp, more)
		if err := decodeComponent(&key, body); err != nil {
			return "", err
		}
		slash = !cut
	}
	if !slices.Equal(Split(key.String()), comps) { // one path a key, however it was spelled
		return "", ErrNotCanonical
	}
	return key.String(), nil
}

func decodeComponent(key *strings.Builder, comp string) error {
	if comp == empty {
		return nil
	}
	for i := 0; i < len(comp); i++ {
		if comp[i] != '%' {
			key.WriteByte(comp[i])
			continue
		}
		if i+2 >= len(comp) {
			return ErrNotCanonical
		}
		hi, lo := strings.IndexByte(hexDigits, comp[i+1]), strings.IndexByte(hexDigits, comp[i+2])
		if hi < 0 || lo < 0 {
			return ErrNotCanonical
		}
		key.WriteByte(byte(hi<<4 | lo)) //nolint:gosec // both are below 16
		i += 2
	}
	return nil
}
