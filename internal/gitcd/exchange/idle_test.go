// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/hub"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/layout"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/vfs"
)

// BenchmarkIdle lets a cluster of nodes that do nothing but live go on, by a
// clock that it moves: each node's lease is renewed every 10 s, and its status
// every 5 min. It reports what a day would bring at this pace: bytes that
// branches push, bytes that a clone grows by, and the commits on main a minute.
// With elections, two components renew a lease every 2 s, as they would with
// --leader-elect. Grain local is what leases would cost if they stayed at home.
func BenchmarkIdle(b *testing.B) {
	for _, c := range []struct {
		nodes, minutes int
		elections      bool
		grain          layout.Grain
	}{
		{nodes: 10, minutes: 60, grain: layout.Batch},
		{nodes: 10, minutes: 10, grain: layout.Batch, elections: true},
		{nodes: 10, minutes: 10, grain: layout.Local},
		{nodes: 100, minutes: 5, grain: layout.Batch},
	} {
		b.Run(fmt.Sprintf("nodes=%d/leases=%s/elections=%v", c.nodes, c.grain, c.elections), func(b *testing.B) {
			for b.Loop() {
				x := &idle{b: b, clock: testclock.NewFakeClock(time.Unix(1_800_000_000, 0)), grain: c.grain, elections: c.elections}
				x.run(c.nodes, c.minutes)
			}
		})
	}
}

// idle is a cluster that does nothing.
type idle struct {
	b         *testing.B
	clock     *testclock.FakeClock
	grain     layout.Grain
	elections bool
	hub       *theHub
	heavens   []*heaven
	pushed    atomic.Int64 // bytes of requests
	brought   atomic.Int64 // bytes of answers
}

// RoundTrip counts.
func (x *idle) counting(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		x.pushed.Add(max(0, r.ContentLength))
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
	v.clock, v.grains = x.clock, append(layout.DefaultGrains(), layout.GrainRule{Prefix: "/registry/leases/k", Grain: x.grain})
	v.link.RoundTripper = x.counting(v.link.RoundTripper)
	v.batch = exchange.BatchInterval
	v.tune = func(o *exchange.Options) {
		o.Clock, o.Grains = x.clock, v.grains
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
	size, main, pushed, brought := x.size(), x.commits(), x.pushed.Load(), x.brought.Load()
	seconds := minutes * 60
	x.live(300, 300+seconds)
	day := 86400 / float64(seconds)
	const mb = 1e6
	b.ReportMetric(float64(x.pushed.Load()-pushed)*day/mb, "pushed-MB/day")
	b.ReportMetric(float64(x.brought.Load()-brought)*day/mb/float64(len(x.heavens)), "brought-MB/day/heaven")
	b.ReportMetric(float64(x.size()-size)*day/mb, "clone-MB/day")
	b.ReportMetric(float64(x.commits()-main)/float64(minutes), "commits/min")
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
	for second := from; second < to; second++ {
		now := x.clock.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
		for i, v := range x.heavens {
			name := filepath.Base(v.name)
			if node := i >= 3; node && second%10 == i%10 {
				v.put("/registry/leases/kube-node-lease/"+name, fmt.Sprintf(leaseText, name, i%10, now))
			}
			if i >= 3 && second%300 == (i*7)%300 {
				v.put("/registry/minions/"+name, fmt.Sprintf(nodeText, name, i%10, now))
			}
			if x.elections && (i == 1 || i == 2) && second%2 == 0 {
				v.put("/registry/leases/kube-system/"+name, fmt.Sprintf(leaseText, name, i, now))
			}
		}
		x.clock.Step(time.Second)
		time.Sleep(4 * time.Millisecond)
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

// size returns how large the packs of a clone are, made small by stock Git.
func (x *idle) size() (n int64) {
	dir := filepath.Join(x.b.TempDir(), fmt.Sprint(time.Now().UnixNano()))
	for _, args := range [][]string{
		{"-c", "http.extraHeader=" + peerHeader + ": hub-admin", "clone", "-q", "--mirror", x.hub.url + "/repo.git", dir},
		{"-C", dir, "repack", "-adfq"},
	} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			x.b.Fatalf("git %v: %v: %s", args, err, out)
		}
	}
	err := filepath.WalkDir(filepath.Join(dir, "objects", "pack"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".pack" {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.b.Fatal(err)
	}
	return n
}
