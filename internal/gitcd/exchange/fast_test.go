// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package exchange_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/exchange"
)

// What others wrote comes with the news of it: nobody has to ask.
func TestNewsBringsItself(t *testing.T) {
	h := startHub(t)
	a := newHeaven(t, h, "heavens/apiserver", "a").start(true)
	a.put("/registry/a", "1")
	b := newHeaven(t, h, "heavens/scheduler", "b").start(false)
	settled(t, h, a, b)
	eventually(t, "both listen", func() bool { return a.exchange.Status().Connected && b.exchange.Status().Connected })
	for _, v := range []*heaven{a, b} { // whoever comes asks once how things are
		v.put("/registry/b", v.name)
		settled(t, h, a, b)
	}
	before := a.link.asked.Load() + b.link.asked.Load()
	for i := range 20 {
		from, to := a, b
		if i%2 == 1 {
			from, to = b, a
		}
		key := fmt.Sprintf("/registry/pods/default/%d", i)
		from.put(key, strings.Repeat("v", i))
		from.put(key+"-2", "v")
		eventually(t, key+" has come", func() bool { return to.get(key+"-2") != "" })
	}
	settled(t, h, a, b)
	if asked := a.link.asked.Load() + b.link.asked.Load() - before; asked != 0 {
		t.Errorf("the heavens asked %d times", asked)
	}
	for _, v := range []*heaven{a, b} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}

const node = `{"kind":"Node","metadata":{"name":"n","managedFields":[{"manager":"kubelet","time":"%[1]s"}]},"status":{"conditions":[{"type":"Ready","status":"%[2]s","lastHeartbeatTime":"%[1]s"}]}}`

// A node that says nothing but that it lives is in no haste; one that is not
// ready any more is.
func TestHeartbeatsWait(t *testing.T) {
	h := startHub(t)
	a := newHeaven(t, h, "heavens/apiserver", "a").start(true)
	a.put("/registry/minions/n", fmt.Sprintf(node, "2026-01-01T00:00:00Z", "True"))
	b := newHeaven(t, h, "nodes/n", "b")
	b.tune = func(o *exchange.Options) { o.LazyWait = time.Hour }
	b.start(false)
	settled(t, h, a, b)
	pushes := b.exchange.Status().Pushes
	b.put("/registry/minions/n", fmt.Sprintf(node, "2026-01-01T00:05:00Z", "True"))
	eventually(t, "the node's heaven holds back", func() bool { return b.exchange.Status().Unpushed })
	b.put("/registry/minions/n", fmt.Sprintf(node, "2026-01-01T00:10:00Z", "True"))
	b.tree()
	time.Sleep(50 * time.Millisecond)
	if got := b.exchange.Status().Pushes; got != pushes {
		t.Errorf("%d pushes for a heartbeat", got-pushes)
	}
	b.put("/registry/minions/n", fmt.Sprintf(node, "2026-01-01T00:10:01Z", "False"))
	eventually(t, "others see that the node is not ready", func() bool { return strings.Contains(a.get("/registry/minions/n"), `"False"`) })
	settled(t, h, a, b)
	for _, v := range []*heaven{a, b} {
		if err := v.halt(); err != nil {
			t.Error(err)
		}
	}
}
