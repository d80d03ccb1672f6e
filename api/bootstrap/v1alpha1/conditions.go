// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Finalizer keeps a HeadlessConfig until what it made outside its data Secret is gone.
const Finalizer = "headlessconfig.bootstrap.cluster.x-k8s.io"

// Conditions of a HeadlessConfig. Paused and Deleting are good when False, all others when True.
const (
	// ConditionReady sums up the others. Core mirrors it as the Machine's BootstrapConfigReady.
	ConditionReady = "Ready"

	// ConditionDataSecretAvailable says whether the Secret with the user data exists.
	ConditionDataSecretAvailable = "DataSecretAvailable"

	// ConditionDeleting says whether the config is going away, and what it waits for.
	ConditionDeleting = "Deleting"
)
