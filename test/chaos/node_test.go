// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// life is what a node remembers of a pod that it ran.
type life struct {
	Node, Name string
	UID        types.UID
	Address    string
	Began      time.Time
	Ended      time.Time // zero while it runs
	job        bool
	due        time.Time // when a job's pod succeeds
	stopping   time.Time // when its containers are gone
	succeeded  bool
	saying     corev1.PodPhase // what was said last, and when
	said       time.Time
}

// node is a heaven that runs pods, and what is known of them from its own side.
type node struct {
	*member

	mu         sync.Mutex
	ran        map[types.UID]*life
	containers map[string]*life // by container, where there are some
}

// lives returns what the node ran, in order.
func (n *node) lives() []life {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []life
	for _, l := range slices.SortedFunc(maps.Values(n.ran), func(a, b *life) int { return a.Began.Compare(b.Began) }) {
		all = append(all, *l)
	}
	return all
}

func (n *node) running() map[types.UID]string {
	running := map[types.UID]string{}
	for _, l := range n.lives() {
		if l.Ended.IsZero() {
			running[l.UID] = strings.TrimPrefix(l.Name, "default/")
		}
	}
	return running
}
