// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import "strings"

// shellWord quotes text so that a shell reads it as one word.
func shellWord(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// literal doubles what systemd would expand in a command line.
func literal(word string) string {
	return strings.NewReplacer("%", "%%", "$", "$$").Replace(word)
}

// unitWord quotes a word of a unit's command line, if it needs it. Variables and specifiers in it are expanded.
func unitWord(word string) string {
	if !strings.ContainsAny(word, " \t\n'\"\\;") {
		return word
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(word) + `"`
}
