// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/supervisor"
)

// etcdClients and etcdPeers are where etcd listens, inside the host's network namespace.
const (
	etcdClients = "http://127.0.0.1:2379"
	etcdPeers   = "http://127.0.0.1:2380"
)

// storeSocket and eventsSocket are where gitcd listens.
func storeSocket(c sandbox.Config) string  { return c.Path("run", "gitcd.sock") }
func eventsSocket(c sandbox.Config) string { return c.Path("run", "events.sock") }

// store is what the host's API server keeps its objects in.
func store(c sandbox.Config) supervisor.Component {
	if c.Store == sandbox.StoreEtcd {
		return supervisor.Component{
			Name: c.Store,
			Argv: []string{
				c.Bin("etcd"), "--data-dir=" + c.Path("store"), "--listen-client-urls=" + etcdClients, "--advertise-client-urls=" + etcdClients,
				"--listen-peer-urls=" + etcdPeers,
			},
			Ready: supervisor.Probe{URL: etcdClients + "/readyz"},
			Grace: 20 * time.Second,
		}
	}
	return supervisor.Component{
		Name:  c.Store,
		Argv:  []string{c.Bin("gitcd"), "serve", "--dir", c.Path("store"), "--branch", "main", "--listen", "unix://" + storeSocket(c), "--events-listen", "unix://" + eventsSocket(c)},
		Ready: supervisor.Probe{Socket: storeSocket(c)},
		Grace: 20 * time.Second,
	}
}

// storeFlags tell the API server about its store. What goes into etcd, goes there as it does everywhere else.
func storeFlags(c sandbox.Config) []string {
	if c.Store == sandbox.StoreEtcd {
		return []string{"--etcd-servers=" + etcdClients}
	}
	return []string{
		"--etcd-servers=unix://" + storeSocket(c),
		"--etcd-servers-overrides=/events#unix://" + eventsSocket(c),
		"--storage-media-type=application/json",
	}
}
