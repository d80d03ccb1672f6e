// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package api is the house of all types that people write and programs read. It holds no logic.
//
//	controlplane/v1alpha1    what a headless control plane shall be      HeadlessControlPlane
//	infrastructure/v1alpha1  where its state lives, its machines         GitBackedCluster, GitBackedMachine
//	bootstrap/v1alpha1       how a machine becomes a node                HeadlessConfig
//	heaven/v1alpha1          the parts a control plane is made of        TrishankuHeaven, AutomatedMerge, GitRepository
//	gitcd/v1alpha1           gitcd's configuration file, not a resource  Config
//
// # Laws
//
//	A1 Intent survives.  Whatever decides is in spec or metadata; status is an observation that anyone may lose.
//	A2 Unknown is nil.   A boolean that can be unknown is a pointer; absent never means false.
//	A3 One word a thing. A field has the same name and meaning in every kind.
//	A4 Contract first.   The kinds that Cluster API touches keep its contract v1beta2 and say so by a label.
//
// hack/generate.sh writes the deep copies and, below config/, the definitions, roles and webhook configurations.
package api //nolint:revive // everyone calls it so
