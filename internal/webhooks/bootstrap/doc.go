// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package bootstrap admits the kinds of the bootstrap provider: HeadlessConfig and its template. The rules are pure;
// admit makes webhooks of them.
package bootstrap

import (
	ctrl "sigs.k8s.io/controller-runtime"
)

// SetupWithManager registers the webhooks of all kinds.
func SetupWithManager(mgr ctrl.Manager) error {
	if err := configs.SetupWithManager(mgr); err != nil {
		return err
	}
	return configTemplates.SetupWithManager(mgr)
}
