// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

// Package hosttest gives host clusters to tests of the provider wing. Only tests import it.
//
//	gitcd in memory + kube-apiserver + CRDs --APIServer--> a host cluster with schemas, defaults and server-side apply
//	config/<provider>/rbac -----------------As-----------> the same, with the rights that the release gives
//	client/fake --Writes.Funcs-------------> a host cluster in memory that counts what is written to it
//
// Laws:
//
//  1. Ours as released: kinds and rights are those of config/, never a test's own.
//  2. A reconcile that has nothing to do writes nothing: Settle goes by the count, and fails where it does not come to rest.
package hosttest
