// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"slices"
	"strings"
)

// Component returns the component of a key's path that a name in a tree stands
// for. That is the name itself, if Split makes it. A name that others made, such
// as "my file", stands for the component that Split would have made in its place,
// "my%20file". ok is false for names that no key can have.
func Component(name string) (comp string, ok bool) {
	if name == "" || name == Self {
		return "", false
	}
	if plain(name) || canonical(name) {
		return name, true
	}
	made := appendComponent(nil, name)
	if len(made) != 1 {
		return "", false // too long: Split would have made several
	}
	return made[0], true
}

// Plain says, without a copy, whether a name stands for itself. Others may, too.
func Plain(name []byte) bool {
	if len(name) == 0 || name[0] == '.' || len(name) > pieceSize-2 {
		return false
	}
	return !slices.ContainsFunc(name, special)
}

// Literal returns the name that others may have given to what a component
// stands for: "my file" for "my%20file". It is empty if there is none.
func Literal(comp string) string {
	if strings.IndexByte(comp, '%') < 0 || comp == empty || comp == Rootless || comp == Self || strings.HasSuffix(comp, more) {
		return ""
	}
	var name strings.Builder
	if decodeComponent(&name, comp) != nil {
		return ""
	}
	if strings.ContainsAny(name.String(), "\x00/") {
		return "" // no tree can have it: the bytes would end the name
	}
	if back, ok := Component(name.String()); !ok || back != comp {
		return ""
	}
	return name.String()
}

// canonical says whether Split makes a name: the whole of a component, or a piece of a long one.
func canonical(name string) bool {
	if name == empty || name == Rootless {
		return true
	}
	body, piece := strings.CutSuffix(name, more)
	var part strings.Builder
	if decodeComponent(&part, body) != nil || part.Len() == 0 || strings.Contains(part.String(), "/") {
		return false
	}
	if piece {
		part.WriteByte('x')
	}
	made := appendComponent(nil, part.String())
	return made[0] == name && (piece || len(made) == 1)
}
