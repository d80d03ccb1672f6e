// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/gitobj"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/gitcd/treeedit"
)

// Cluster is what gates know of main: its pods, and who may do what. It moves
// from tree to tree by what differs (law G2), and is not safe for concurrent use.
type Cluster struct {
	r    Reader
	tree gitobj.ID

	pods  map[string]pod                 // key -> pod that is bound
	nodes map[string]map[string]struct{} // node -> keys of pods

	rbac rbac
}

// pod is what gates know of a pod.
type pod struct {
	node, namespace, account string
	claims                   []string
}

// NewCluster returns what is known of an empty main.
func NewCluster(r Reader) *Cluster {
	c := &Cluster{r: r}
	c.reset()
	return c
}

func (c *Cluster) reset() {
	c.tree = gitobj.Zero
	c.pods, c.nodes = map[string]pod{}, map[string]map[string]struct{}{}
	c.rbac = newRBAC()
}

const (
	podKeys                = "/registry/pods/"
	roleKeys               = "/registry/roles/"
	roleBindingKeys        = "/registry/rolebindings/"
	clusterRoleKeys        = "/registry/clusterroles/"
	clusterRoleBindingKeys = "/registry/clusterrolebindings/"
)

// at moves to a tree.
func (c *Cluster) at(ctx context.Context, tree gitobj.ID) error {
	if tree == c.tree {
		return nil
	}
	err := treeedit.Diff(ctx, c.r, c.tree, tree, func(key string, _, blob gitobj.ID) error {
		switch {
		case strings.HasPrefix(key, podKeys):
			return c.take(key, blob, c.pod)
		case strings.HasPrefix(key, roleKeys), strings.HasPrefix(key, clusterRoleKeys):
			return c.take(key, blob, c.rbac.role)
		case strings.HasPrefix(key, roleBindingKeys), strings.HasPrefix(key, clusterRoleBindingKeys):
			return c.take(key, blob, c.rbac.binding)
		}
		return nil
	})
	if err != nil {
		c.reset() // half of a step is no state
		return fmt.Errorf("read pods and roles of main: %w", err)
	}
	c.tree = tree
	return nil
}

// take hands an object to who keeps it; nil if it is gone or cannot be read.
func (c *Cluster) take(key string, blob gitobj.ID, keep func(string, object)) error {
	if blob.IsZero() {
		keep(key, nil)
		return nil
	}
	value, err := readValue(c.r, blob)
	if err != nil {
		return err
	}
	o, err := decode(value)
	if err != nil && !errors.Is(err, errUnreadable) {
		return err
	}
	keep(key, o)
	return nil
}

// pod keeps a pod that is bound to a node. Mirror pods have no service account.
func (c *Cluster) pod(key string, o object) {
	if old, ok := c.pods[key]; ok {
		delete(c.pods, key)
		delete(c.nodes[old.node], key)
		if len(c.nodes[old.node]) == 0 {
			delete(c.nodes, old.node)
		}
	}
	node := o.text("spec", "nodeName")
	if node == "" {
		return
	}
	namespace, _, _ := strings.Cut(strings.TrimPrefix(key, podKeys), "/")
	p := pod{node: node, namespace: namespace}
	if o.at("metadata", "annotations", mirrorAnnotation) == nil {
		p.account = o.text("spec", "serviceAccountName")
	}
	for _, volume := range o.list("spec", "volumes") {
		switch {
		case volume.text("persistentVolumeClaim", "claimName") != "":
			p.claims = append(p.claims, volume.text("persistentVolumeClaim", "claimName"))
		case volume.at("ephemeral") != nil:
			p.claims = append(p.claims, o.text("metadata", "name")+"-"+volume.text("name"))
		}
	}
	c.pods[key] = p
	if c.nodes[node] == nil {
		c.nodes[node] = map[string]struct{}{}
	}
	c.nodes[node][key] = struct{}{}
}

// accounts yields the service accounts of the pods that are bound to a node, as users.
func (c *Cluster) accounts(node string) map[string]who {
	out := map[string]who{}
	for key := range c.nodes[node] {
		if p := c.pods[key]; p.account != "" {
			w := serviceAccount(p.namespace, p.account)
			out[w.user] = w
		}
	}
	return out
}

// object reads a key of main, nil if it is not there.
func (c *Cluster) object(key string) object {
	blob, ok, err := treeedit.Lookup(context.Background(), c.r, c.tree, key)
	if err != nil || !ok {
		return nil
	}
	value, err := readValue(c.r, blob)
	if err != nil {
		return nil
	}
	o, err := decode(value)
	if err != nil {
		return nil
	}
	return o
}
