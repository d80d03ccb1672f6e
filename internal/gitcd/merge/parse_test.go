// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package merge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// reference reads a value as encoding/json does, and says whether it could.
func reference(data []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, false
	}
	_, err := d.Token()
	return v, errors.Is(err, io.EOF)
}

// plain turns a parsed value into what encoding/json has; false if a name had come twice.
func plain(v any) any {
	switch v := v.(type) {
	case *object:
		out := make(map[string]any, len(v.names))
		for _, name := range v.names {
			out[name] = plain(v.fields[name])
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			out = append(out, plain(item))
		}
		return out
	default:
		return v
	}
}

// checkParse compares with encoding/json.
func checkParse(t *testing.T, data []byte) {
	t.Helper()
	v, err := parse(data)
	want, ok := reference(data)
	if err != nil {
		if ok && utf8.Valid(data) && !odd(data) {
			t.Errorf("refuses %q: %v", data, err)
		}
		return
	}
	if !ok {
		t.Fatalf("takes %q", data)
	}
	got, err := json.Marshal(plain(v))
	if err != nil {
		t.Fatal(err)
	}
	expected, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, expected) {
		t.Errorf("reads %q as %s, encoding/json as %s", data, got, expected)
	}
	again, err := parse(raw(v))
	if err != nil || !equal(v, again) {
		t.Errorf("%q does not come back: %s, %v", data, raw(v), err)
	}
}

// odd says whether a value may have what only encoding/json takes: half a
// surrogate pair, a name that comes twice, great depth.
func odd(data []byte) bool {
	return bytes.Contains(data, []byte(`\u`)) || bytes.Count(data, []byte(":")) > 1 || len(data) > maxDepth
}

var values = []string{
	`{}`, `[]`, `null`, `true`, `false`, `""`, `0`, `-0`, `1.50`, `1e5`, `1E+5`, `-1.0e-10`, ` [ 1 , 2 ] `, `{"a" : {"b":[1,"x",null]}}`,
	`"\"\\\/\b\f\n\r\t"`, `"\u00e9\ud83d\ude00"`, `"` + "\u00e9\ufffd" + `"`, "[\n1\t]\r\n", `"\ufffd"`,
}

var broken = []string{
	``, ` `, `{`, `[`, `[1`, `[1,`, `[1,]`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,}`, `{a:1}`, `{"a":1,"a":2}`, `[1 2]`, `01`, `-`, `1.`, `.5`, `1e`, `1e+`, `+1`,
	`nul`, `True`, `truex`, `"`, `"a`, `"\`, `"\x"`, `"\u12"`, `"\u+123"`, `"\ud83d"`, `"\ud83dx"`, `"\ud83d\n"`, `"\ude00\ud83d"`, `"` + "\n" + `"`, "\"\x00\"", "1 2", "1\x00", "\x00",
	`{} {}`, "\"\xff\"", strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
}

func TestParse(t *testing.T) {
	for _, s := range append(values, strings.Repeat("[", maxDepth)+strings.Repeat("]", maxDepth)) {
		if _, err := parse([]byte(s)); err != nil {
			t.Errorf("refuses %q: %v", s, err)
		}
		checkParse(t, []byte(s))
	}
	for _, s := range broken {
		if v, err := parse([]byte(s)); err == nil {
			t.Errorf("takes %q for %s", s, raw(v))
		}
	}
}

// FuzzParse compares with encoding/json.
func FuzzParse(f *testing.F) {
	for _, s := range values {
		f.Add([]byte(s))
	}
	for _, s := range broken {
		f.Add([]byte(s))
	}
	f.Fuzz(checkParse)
}
