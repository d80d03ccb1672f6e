// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package headlesscontrolplane

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
)

// scope is what one reconcile has seen.
type scope struct {
	cluster *clusterv1.Cluster
	hcp     *controlplanev1.HeadlessControlPlane
	// known are the findings that events have told of by then.
	known heavenv1.MergeFindings
	// before is the condition Available before this reconcile.
	before *metav1.Condition
	// failure is the error that ended the phases early; set by Reconcile.
	failure error

	// have is what exists; gathered says that it was looked at. Set by gather, kept up to date by carryOut.
	have     heaven.Have
	gathered bool

	// waiting says that the Cluster's infrastructure is not provisioned. Set by waitForInfrastructure.
	waiting bool

	// keys says that the cluster's Secrets exist; keysFailure why they do not. Set by ensureKeys.
	keys        bool
	keysFailure error

	// want is what there shall be, nil if it cannot be computed; then specFailure says why. Set by set.
	want        *heaven.Want
	specFailure error

	// steps are what is to be done. Set by plan or planDeletion.
	steps []heaven.Step

	// probed says that the API server was asked; probeFailure why it is not ready. Set by probe.
	probed       bool
	probeFailure error

	// told is what happened, for people. Set by ensureKeys, carryOut and ensureKubeconfig.
	told []string
}
