//go:build tools

// Package clusterapi pins clusterctl and the Cluster API core controller, which
// the sandbox runs unmodified.
package clusterapi

import (
	_ "sigs.k8s.io/cluster-api/cmd/clusterctl"
	_ "sigs.k8s.io/cluster-api/core"
)
