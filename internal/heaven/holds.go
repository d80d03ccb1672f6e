// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"time"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

const (
	// nodesPrefix is where Nodes lie.
	nodesPrefix = "/registry/minions/"

	// outOfTouch is how long kube-controller-manager may hear of no node before it may not write Nodes any more. With the
	// half minute that it takes to notice a silent link it is less than nodeGrace: no node is called unreachable because
	// the judge's own link is down.
	outOfTouch = 30 * time.Second

	// backInTouch is how long that goes on once the hub is back: the nodes' heavens come back within half a minute, and
	// leases wait for company for some seconds.
	backInTouch = time.Minute
)

// holds are the writes that a heaven's gitcd refuses while the hub is out of touch. Without the Node's status written,
// the node lifecycle controller takes no further step: no taint, no pod marked as not ready, no eviction.
func holds(h *heavenv1.TrishankuHeaven) []gitcdv1.Hold {
	if ComponentName(h) != controllerManager {
		return nil
	}
	return []gitcdv1.Hold{{
		Prefix: nodesPrefix, After: gitcdv1.Duration{Duration: outOfTouch}, Settle: gitcdv1.Duration{Duration: backInTouch},
	}}
}
