// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// BenchmarkIdle lets a cluster of nodes that do nothing but live go on, by a
// clock that it moves: each node's lease is renewed every 10 s, and its status
// every 5 min. It reports what a day brings, or would at this pace: bytes that
// branches push and that hearers of main are brought, bytes that a clone grows
// by, as the hub hands it out and after git gc, the commits on main a minute,
// and the greatest age of a lease as kube-controller-manager's heaven sees it.
// With elections, two components renew a lease every 2 s, as they would with
// --leader-elect. By Git is without anything that travels beside it.
func BenchmarkIdle(b *testing.B) {
	for _, c := range []struct {
		nodes, minutes   int
		elections, byGit bool
	}{
		{nodes: 10, minutes: 1440},
		{nodes: 10, minutes: 30, elections: true},
		{nodes: 10, minutes: 30, byGit: true},
		{nodes: 100, minutes: 60},
	} {
		b.Run(fmt.Sprintf("nodes=%d/minutes=%d/elections=%v/bygit=%v", c.nodes, c.minutes, c.elections, c.byGit), func(b *testing.B) {
			for b.Loop() {
				x := &idle{b: b, clock: testclock.NewFakeClock(time.Unix(1_800_000_000, 0)), byGit: c.byGit, elections: c.elections}
				x.run(c.nodes, c.minutes)
			}
		})
	}
}

// idle is a cluster that does nothing.
type idle struct {
	b         *testing.B
	clock     *testclock.FakeClock
	byGit     bool
	elections bool
	hub       *theHub
	heavens   []*heaven
	pushed    atomic.Int64 // bytes of requests
	beats     atomic.Int64 // those of them that travel beside Git
	brought   atomic.Int64 // bytes of answers
	asking    atomic.Int64 // requests that are not answered
	oldest    time.Duration
}

// RoundTrip counts.
func (x *idle) counting(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost {
			x.asking.Add(1)
			defer x.asking.Add(-1)
		}
		if strings.HasSuffix(r.URL.Path, "/beats") {
			x.beats.Add(max(0, r.ContentLength))
		} else {
			x.pushed.Add(max(0, r.ContentLength))
		}
		resp, err := next.RoundTrip(r)
		if err == nil {
			resp.Body = &counted{ReadCloser: resp.Body, n: &x.brought}
		}
		return resp, err
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip calls the function.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

// Read counts.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (x *idle) join(name string, genesis bool) *heaven {
	v := newHeaven(x.b, x.hub, name, "x")
	v.clock, v.beats = x.clock, !x.byGit
	v.link.RoundTripper = x.counting(v.link.RoundTripper)
	v.batch = exchange.RenewalInterval
	if x.byGit {
		v.batch = exchange.BatchInterval
	}
	v.tune = func(o *exchange.Options) {
		o.Clock = x.clock
		o.Timeout, o.Await = time.Hour, time.Minute // a second of this clock is a few milliseconds
	}
	return v.start(genesis)
}

func (x *idle) run(nodes, minutes int) {
	b := x.b
	x.hub = &theHub{t: b, o: hub.Options{Identify: byHeader, Clock: x.clock}}
	x.hub.disk = &vfs.Mem{}
	x.hub.start()
	defer x.hub.halt()
	x.heavens = []*heaven{x.join("heavens/apiserver", true)}
	x.heavens[0].put("/registry/namespaces/default", `{"kind":"Namespace"}`)
	for _, c := range []string{"kube-controller-manager", "kube-scheduler"} {
		x.heavens = append(x.heavens, x.join("heavens/"+c, false))
	}
	for i := range nodes {
		x.heavens = append(x.heavens, x.join(fmt.Sprintf("nodes/n%d", i), false))
	}
	x.live(0, 300) // every node, its lease and its status are there
	plain, packed := x.size()
	main, pushed, beats, brought := x.commits(), x.pushed.Load(), x.beats.Load(), x.brought.Load()
	x.oldest = 0
	seconds := minutes * 60
	x.live(300, 300+seconds)
	day := 86400 / float64(seconds)
	const mb = 1e6
	b.ReportMetric(float64(x.pushed.Load()-pushed)*day/mb, "pushed-MB/day")
	b.ReportMetric(float64(x.beats.Load()-beats)*day/mb, "beside-MB/day")
	b.ReportMetric(float64(x.brought.Load()-brought)*day/mb/float64(len(x.heavens)), "brought-MB/day/heaven")
	plainNow, packedNow := x.size()
	b.ReportMetric(float64(plainNow-plain)*day/mb, "clone-MB/day")
	b.ReportMetric(float64(packedNow-packed)*day/mb, "gc-MB/day")
	b.ReportMetric(float64(x.commits()-main)/float64(minutes), "commits/min")
	b.ReportMetric(x.oldest.Seconds(), "lease-age-s")
	for _, v := range x.heavens {
		if err := v.halt(); err != nil {
			b.Error(err)
		}
	}
}

const (
	leaseText = `{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"%[1]s","namespace":"kube-node-lease","uid":"1d1ae4d7-6f6a-4ab1-b1d9-8d6cf0b4f5a%[2]d","creationTimestamp":"2026-11-22T00:00:00Z","ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"%[1]s","uid":"5ab0c6de-5a0f-4c55-96a0-7d6a1c1c0a0%[2]d"}],"managedFields":[{"manager":"kubelet","operation":"Update","apiVersion":"coordination.k8s.io/v1","time":"%[3]s","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:ownerReferences":{".":{},"k:{\"uid\":\"5ab0c6de\"}":{}}},"f:spec":{"f:holderIdentity":{},"f:leaseDurationSeconds":{},"f:renewTime":{}}}}]},"spec":{"holderIdentity":"%[1]s","leaseDurationSeconds":40,"renewTime":"%[3]s"}}`
	nodeText  = `{"kind":"Node","apiVersion":"v1","metadata":{"name":"%[1]s","managedFields":[{"manager":"kubelet","operation":"Update","subresource":"status","time":"%[3]s"}]},"spec":{"podCIDR":"10.244.%[2]d.0/24"},"status":{"capacity":{"cpu":"4","memory":"8Gi","pods":"110"},"conditions":[{"type":"MemoryPressure","status":"False","lastHeartbeatTime":"%[3]s","lastTransitionTime":"2026-11-22T00:00:00Z","reason":"KubeletHasSufficientMemory"},{"type":"Ready","status":"True","lastHeartbeatTime":"%[3]s","lastTransitionTime":"2026-11-22T00:00:00Z","reason":"KubeletReady"}],"nodeInfo":{"kubeletVersion":"v1.36.3"}}}`
)

// live lets seconds pass.
func (x *idle) live(from, to int) {
	stride := 5 // seconds; to renew every 2 takes smaller ones
	if x.elections {
		stride = 1
	}
	for second := from; second < to; second += stride {
		now := x.clock.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
		for i, v := range x.heavens {
			name := filepath.Base(v.name)
			if node := i >= 3; node && second%10 == i*stride%10 {
				v.put("/registry/leases/kube-node-lease/"+name, fmt.Sprintf(leaseText, name, i%10, now))
			}
			if i >= 3 && second%300 == i*7*stride%300 {
				v.put("/registry/minions/"+name, fmt.Sprintf(nodeText, name, i%10, now))
			}
			if x.elections && (i == 1 || i == 2) && second%2 == 0 {
				v.put("/registry/leases/kube-system/"+name, fmt.Sprintf(leaseText, name, i, now))
			}
		}
		if second%7 == 0 {
			x.look()
		}
		x.clock.Step(time.Duration(stride) * time.Second)
		for calm := 0; calm < 3; calm++ {
			for range 50 {
				runtime.Gosched()
			}
			time.Sleep(100 * time.Microsecond)
			if x.asking.Load() > 0 {
				calm = 0
			}
		}
	}
}

// look finds the oldest lease that kube-controller-manager's heaven has.
func (x *idle) look() {
	for _, v := range x.heavens[3:] {
		_, rest, ok := strings.Cut(x.heavens[1].get("/registry/leases/kube-node-lease/"+filepath.Base(v.name)), `"renewTime":"`)
		if !ok {
			continue
		}
		if at, err := time.Parse(time.RFC3339Nano, strings.TrimRight(rest, `"}`)); err == nil {
			x.oldest = max(x.oldest, x.clock.Since(at))
		}
	}
}

// commits counts main's own commits, not those of the branches.
func (x *idle) commits() int {
	id, _ := x.hub.journal.Ref(hub.Main)
	for n := 0; ; n++ {
		_, data, err := x.hub.journal.Get(id)
		if err != nil {
			x.b.Fatal(err)
		}
		c, err := gitobj.DecodeCommit(data)
		if err != nil {
			x.b.Fatal(err)
		}
		if len(c.Parents) == 0 {
			return n
		}
		id = c.Parents[0]
	}
}

// size returns how large the pack of a clone is, as it comes and made small by git gc.
func (x *idle) size() (plain, packed int64) {
	dir := filepath.Join(x.b.TempDir(), fmt.Sprint(time.Now().UnixNano()))
	x.git("-c", "http.extraHeader="+peerHeader+": hub-admin", "clone", "-q", "--mirror", x.hub.url+"/repo.git", dir)
	plain = x.packs(dir)
	x.git("-C", dir, "gc", "-q", "--aggressive")
	return plain, x.packs(dir)
}

func (x *idle) git(args ...string) {
	if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
		x.b.Fatalf("git %v: %v: %s", args, err, out)
	}
}

func (x *idle) packs(dir string) (n int64) {
	found, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.pack"))
	if err != nil {
		x.b.Fatal(err)
	}
	for _, name := range found {
		info, err := os.Stat(name)
		if err != nil {
			x.b.Fatal(err)
		}
		n += info.Size()
	}
	return n
}
