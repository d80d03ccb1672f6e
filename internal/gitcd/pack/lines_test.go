// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pack_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/pack"
)

// object is an object as it is stored: a field a line.
func object(name, uid string, extra ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n \"kind\": \"ConfigMap\",\n \"apiVersion\": \"v1\",\n \"metadata\": {\n  \"name\": %q,\n  \"namespace\": \"team\",\n  \"uid\": %q,\n", name, uid)
	for _, e := range extra {
		fmt.Fprintf(&b, "  %s,\n", e)
	}
	b.WriteString("  \"labels\": {\n   \"app.kubernetes.io/managed-by\": \"controller\"\n  }\n },\n \"data\": {\n  \"key\": \"value\"\n }\n}\n")
	return []byte(b.String())
}

func TestLineDelta(t *testing.T) {
	base := object("app-1", "d7c8b2ce-12bd-4a3f-9a0e-000000000001")
	for _, c := range []struct {
		name         string
		base, target []byte
		most         int // bytes of the delta
	}{
		{"the same", base, base, 12},
		{"other values", base, object("app-2222", "d7c8b2ce-12bd-4a3f-9a0e-000000000002"), 45},
		{"a line more", base, object("app-1", "d7c8b2ce-12bd-4a3f-9a0e-000000000001", `"generation": 1`), 40},
		{"a line less", object("app-1", "d7c8b2ce-12bd-4a3f-9a0e-000000000001", `"generation": 1`), base, 25},
		{"a line that begins as the next one does", base, object("app-1", "d7c8b2ce-12bd-4a3f-9a0e-000000000001", `"labelsAndMore": {}`), 45},
		{"nothing alike", base, []byte("one\ntwo\nthree\n"), 20},
		{"an empty base", nil, base, len(base) + 10},
		{"an empty target", base, nil, 5},
		{"no line at all", []byte("0123456789abcdef"), []byte("0123456789abcdeX"), 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d pack.LineDelta
			delta := d.Make(c.base, c.target)
			got, err := pack.ApplyDelta(c.base, delta)
			if err != nil || !bytes.Equal(got, c.target) {
				t.Fatalf("the delta gives %q, %v; want %q", got, err, c.target)
			}
			if len(delta) > c.most {
				t.Errorf("the delta has %d bytes, want at most %d: %q", len(delta), c.most, delta)
			}
		})
	}
}

// TestLineDeltaOfAnything edits texts at random: whatever comes out, the delta gives it.
func TestLineDeltaOfAnything(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var d pack.LineDelta
	for range 5000 {
		base := make([]byte, random.IntN(300))
		for i := range base {
			base[i] = "ab\n"[random.IntN(3)]
		}
		target := bytes.Clone(base)
		for range random.IntN(6) {
			at := random.IntN(len(target) + 1)
			end := at + random.IntN(len(target)-at+1)
			switch random.IntN(3) {
			case 0:
				target = append(target[:at:at], target[end:]...)
			case 1:
				target = append(target[:at:at], append([]byte("aba\nb"), target[at:]...)...)
			default:
				target = append(target[:at:at], append(bytes.Clone(target[at:end]), target[at:]...)...)
			}
		}
		delta := d.Make(base, target)
		if got, err := pack.ApplyDelta(base, delta); err != nil || !bytes.Equal(got, target) {
			t.Fatalf("from %q to %q: the delta %q gives %q, %v", base, target, delta, got, err)
		}
	}
}

func BenchmarkLineDelta(b *testing.B) {
	base := object("app-1", "d7c8b2ce-12bd-4a3f-9a0e-000000000001", strings.Repeat(`"generation": 1,`+"\n", 30))
	target := object("app-2", "d7c8b2ce-12bd-4a3f-9a0e-000000000002", strings.Repeat(`"generation": 1,`+"\n", 30))
	var d pack.LineDelta
	b.ReportAllocs()
	b.SetBytes(int64(len(target)))
	for b.Loop() {
		d.Make(base, target)
	}
	b.ReportMetric(float64(len(d.Make(base, target))), "delta-bytes")
}
