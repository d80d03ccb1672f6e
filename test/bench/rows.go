// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// bar says what gitcd has to reach in a row.
type bar struct {
	kind  barKind
	limit float64
}

type barKind int

const (
	noBar   barKind = iota
	atLeast         // gitcd/etcd
	atMost          // gitcd/etcd
	below           // gitcd alone
	above           // gitcd alone
)

func (b bar) String() string {
	switch b.kind {
	case atLeast:
		return fmt.Sprintf(">= %.2f", b.limit)
	case atMost:
		return fmt.Sprintf("<= %.2f", b.limit)
	case below:
		return fmt.Sprintf("gitcd <= %g", b.limit)
	case above:
		return fmt.Sprintf("gitcd >= %g", b.limit)
	default:
		return ""
	}
}

// holds says whether a ratio, or gitcd's own number, reaches the bar.
func (b bar) holds(ratio, own float64) bool {
	switch b.kind {
	case atLeast:
		return ratio >= b.limit
	case atMost:
		return ratio <= b.limit
	case below:
		return own <= b.limit
	case above:
		return own >= b.limit
	default:
		return true
	}
}

// spec is a row of the table before it has numbers.
type spec struct {
	id    string // dotted; the first part is the work that fills it
	title string
	unit  string
	bar   bar
}

// concurrency are the numbers of clients that write, and the bars on their rates.
var concurrency = []struct {
	clients int
	bar     float64
}{{1, 1.2}, {16, 1.3}, {100, 1.3}, {1000, 1.3}}

var readers = []int{1, 16, 100}

// watching are the numbers of watchers, and the paced writes a second.
var watching = []struct{ watchers, rate int }{{1, 100}, {100, 100}, {1000, 20}}

// fleets are the numbers of heavens whose coordination is measured, how many writes a second one of them gets, and the bars.
var fleets = []struct {
	heavens, rate int
	p50, p99      float64
}{{10, 20, 20, 100}, {100, 4, 60, 250}}

// specs are the rows in the table's order.
func specs() []spec {
	var out []spec
	row := func(id, title, unit string, b bar) { out = append(out, spec{id, title, unit, b}) }
	for _, w := range []string{"create", "update"} {
		verb := map[string]string{"create": "create", "update": "guarded update"}[w]
		for _, c := range concurrency {
			id := fmt.Sprintf("%s.%d.", w, c.clients)
			title := fmt.Sprintf("%s 1 KiB, %s", verb, plural(c.clients, "client"))
			row(id+"rate", title, "/s", bar{atLeast, c.bar})
			row(id+"p50", title+", p50", "ms", bar{})
			row(id+"p99", title+", p99", "ms", bar{atMost, 1})
		}
	}
	row("create.1.syncs", "create, 1 client, p50 in fdatasyncs of this disk (4 KiB over what is there)", "x", bar{})
	row("create.100.cpu", "server CPU a create, 100 clients", "us", bar{atMost, 0.75})
	row("create.100.client", "this program's CPU a create, on the same cores", "us", bar{})
	row("create.100.disk", "bytes to disk a create, 100 clients", "B", bar{atMost, 0.65})
	row("create.100.written", "bytes through write(2) a create, sockets too, 100 clients", "B", bar{})
	row("update.100.cpu", "server CPU an update, 100 clients", "us", bar{})
	row("update.100.disk", "bytes to disk an update, 100 clients", "B", bar{})
	for _, n := range readers {
		id, title := fmt.Sprintf("read.get%d.", n), "get, "+plural(n, "client")
		row(id+"rate", title, "/s", bar{atLeast, 1})
		row(id+"p99", title+", p99", "ms", bar{})
	}
	row("read.get100.cpu", "server CPU a get, 100 clients", "us", bar{})
	row("read.list.rate", "list 10k whole", "/s", bar{atLeast, 1.2})
	row("read.paged.rate", "list 10k in pages of 500 at one revision", "/s", bar{atLeast, 1.2})
	row("read.count.rate", "count 10k", "/s", bar{atLeast, 2})
	row("restart.count.rate", "count of the filled store", "/s", bar{atLeast, 2})
	for _, w := range watching {
		id := fmt.Sprintf("watch.%d.", w.watchers)
		title := fmt.Sprintf("watch, %s, prev_kv, %d writes/s, put to event", plural(w.watchers, "watcher"), w.rate)
		row(id+"p50", title+", p50", "ms", bar{atMost, 1})
		row(id+"p99", title+", p99", "ms", bar{atMost, 1})
		row(id+"cpu", title+", server CPU an event", "us", bar{})
	}
	row("restart.fill.rate", "fill with 1 KiB keys, 64 writers", "/s", bar{})
	row("restart.first", "kill -9 to first read, filled store", "ms", bar{atMost, 0.3})
	row("restart.filled", "resident memory after the fill", "MB", bar{atMost, 1})
	row("restart.rested", "resident memory 5 s later", "MB", bar{})
	row("restart.resident", "resident memory after the restart", "MB", bar{atMost, 1})
	row("restart.size", "bytes on disk a key after the fill", "B", bar{})
	row("directory.cost", "update in a directory of 20,000 beside one of 200, 16 clients: cost to the client", "x", bar{below, 1.2})
	row("directory.paced", "updates in a directory of 20,000, asked for 5,000 a second", "/s", bar{})
	row("directory.lag50", "committer lag meanwhile, p50", "ms", bar{})
	row("directory.lag", "committer lag meanwhile, p99", "ms", bar{below, 200})
	row("kubernetes.wall", "through kube-apiserver, all steps (JSON for gitcd, the default for etcd)", "s", bar{atMost, 1})
	for _, step := range kubernetesSteps {
		row("kubernetes."+step, "through kube-apiserver, "+step, "s", bar{})
	}
	row("kubernetes.cpu", "through kube-apiserver, store's CPU", "s", bar{})
	row("kubernetes.apicpu", "through kube-apiserver, kube-apiserver's CPU", "s", bar{})
	for _, n := range fleets {
		id, title := fmt.Sprintf("coordination.%d.", n.heavens), fmt.Sprintf("%d heavens and a hub, write in one to event in another", n.heavens)
		row(id+"p50", title+", p50", "ms", bar{below, n.p50})
		row(id+"p99", title+", p99", "ms", bar{below, n.p99})
		row(id+"cpu", title+", CPU of all processes a write", "ms", bar{})
	}
	row("coordination.pushes.rate", "hub, pushes of 50 heavens, received and merged", "/s", bar{above, 500})
	row("coordination.pushes.cpu", "hub's CPU a push", "us", bar{})
	row("coordination.pushes.commits", "commits on main a push", "", bar{})
	row("kubernetes.json.wall", "through kube-apiserver, all steps, etcd with JSON too", "s", bar{})
	row("pods.running", "a Deployment of 50 pods to all Running: a headless cluster beside one kube-apiserver on etcd", "s", bar{atMost, 1.5})
	row("pods.gone", "the same, deleted, to all gone", "s", bar{})
	row("pods.received", "the same, from creation to all gone: bytes that the hub receives for each pod", "B", bar{below, 2048})
	row("pods.sent", "the same, bytes that it sends to all heavens for each pod", "B", bar{})
	return out
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
