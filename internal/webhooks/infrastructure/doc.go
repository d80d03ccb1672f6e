// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package infrastructure admits the kinds of the infrastructure provider: GitBackedCluster and GitBackedMachine with
// their templates, and GitRepository. The rules are pure; admit makes webhooks of them.
package infrastructure

import (
	ctrl "sigs.k8s.io/controller-runtime"
)

// SetupWithManager registers the webhooks of all kinds.
func SetupWithManager(mgr ctrl.Manager) error {
	for _, setup := range []func(ctrl.Manager) error{
		clusters.SetupWithManager, clusterTemplates.SetupWithManager,
		machines.SetupWithManager, machineTemplates.SetupWithManager,
		repositories.SetupWithManager,
	} {
		if err := setup(mgr); err != nil {
			return err
		}
	}
	return nil
}
