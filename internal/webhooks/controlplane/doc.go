// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane admits the kinds of the control plane provider: HeadlessControlPlane and its template,
// TrishankuHeaven and AutomatedMerge. The rules are pure; admit makes webhooks of them.
package controlplane

import (
	ctrl "sigs.k8s.io/controller-runtime"
)

// SetupWithManager registers the webhooks of all kinds.
func SetupWithManager(mgr ctrl.Manager) error {
	for _, setup := range []func(ctrl.Manager) error{
		controlPlanes.SetupWithManager, controlPlaneTemplates.SetupWithManager,
		heavens.SetupWithManager, merges.SetupWithManager,
	} {
		if err := setup(mgr); err != nil {
			return err
		}
	}
	return nil
}
