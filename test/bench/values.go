// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"
)

// valueSize is the size of a value: what a small Kubernetes object takes.
const valueSize = 1024

// namespaces is how many directories the keys are spread over.
const namespaces = 50

func key(kind string, namespace int, name string) string {
	return fmt.Sprintf("/registry/%s/ns-%02d/%s", kind, namespace%namespaces, name)
}

// values makes values of 1 KiB, no two alike: compact JSON that ends in a new
// line, as kube-apiserver stores it, or random bytes. Not safe for concurrent use.
type values struct {
	random   *rand.Rand
	bytes    bool // random bytes, no JSON
	template []byte
	holes    [][2]int // from, length: where hexadecimal digits change with each value
	uid      int      // where the first 16 digits are
}

// hole is replaced with digits that no other value has.
const hole = '#'

// object has the shape of a stored ConfigMap. A third of it changes with each
// value; the rest is what all objects have in common.
const object = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"app-##########","namespace":"team","uid":"################-############",` +
	`"creationTimestamp":"2026-01-02T03:04:05Z","labels":{"app.kubernetes.io/name":"app","app.kubernetes.io/instance":"app-##########",` +
	`"app.kubernetes.io/managed-by":"controller"},"annotations":{"checksum/config":"################################"},` +
	`"managedFields":[{"manager":"controller","operation":"Update","apiVersion":"v1","time":"2026-01-02T03:04:05Z","fieldsType":"FieldsV1",` +
	`"fieldsV1":{"f:data":{".":{},"f:config.yaml":{},"f:token":{}},"f:metadata":{"f:annotations":{".":{},"f:checksum/config":{}},` +
	`"f:labels":{".":{},"f:app.kubernetes.io/instance":{},"f:app.kubernetes.io/managed-by":{},"f:app.kubernetes.io/name":{}}}}}]},` +
	`"data":{"config.yaml":"logLevel: info\nreplicas: 3\nupstream: app-##########.team.svc\n","token":"`

const objectEnd = "\"}}\n"

func newValues(seed uint64, bytes bool) *values {
	v := &values{random: rand.New(rand.NewPCG(seed, uint64(time.Now().UnixNano()))), bytes: bytes, template: []byte(object)}
	for len(v.template) < valueSize-len(objectEnd) {
		v.template = append(v.template, hole)
	}
	v.template = append(v.template, objectEnd...)
	for i := 0; i < len(v.template); i++ {
		n := 0
		for i+n < len(v.template) && v.template[i+n] == hole {
			n++
		}
		if n > 0 {
			v.holes = append(v.holes, [2]int{i, n})
			if n == 16 {
				v.uid = i
			}
			i += n
		}
	}
	return v
}

const digits = "0123456789abcdef"

// next returns a value that was not there before.
func (v *values) next() string {
	out := make([]byte, valueSize)
	if v.bytes {
		for i := 0; i < len(out); i += 8 {
			w := v.random.Uint64()
			for j := range 8 {
				out[i+j] = byte(w >> (8 * j))
			}
		}
		return string(out)
	}
	copy(out, v.template)
	for _, h := range v.holes {
		w := v.random.Uint64()
		for i := range h[1] {
			if i%16 == 15 {
				w = v.random.Uint64()
			}
			out[h[0]+i] = digits[w&15]
			w >>= 4
		}
	}
	return string(out)
}

// stamped returns a value that carries a number.
func (v *values) stamped(n int64) string {
	out := []byte(v.next())
	var raw [8]byte
	for i := range raw {
		raw[i] = byte(n >> (56 - 8*i))
	}
	hex.Encode(out[v.uid:], raw[:])
	return string(out)
}

// stamp reads the number that a value carries.
func (v *values) stamp(value []byte) (int64, error) {
	if len(value) != valueSize {
		return 0, fmt.Errorf("a value of %d bytes came back, not %d", len(value), valueSize)
	}
	var raw [8]byte
	if _, err := hex.Decode(raw[:], value[v.uid:v.uid+16]); err != nil {
		return 0, fmt.Errorf("a value came back without its number: %w", err)
	}
	var n int64
	for _, b := range raw {
		n = n<<8 | int64(b)
	}
	return n, nil
}
