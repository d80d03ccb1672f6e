// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package automatedmerge

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/heaven"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

// scope is what one reconcile has seen.
type scope struct {
	merge *heavenv1.AutomatedMerge
	// before and forgeBefore are the conditions Available and ForgeInStep before this reconcile, told what events have told
	// of by then.
	before, forgeBefore *metav1.Condition
	told                heavenv1.MergeFindings
	// now is when this reconcile began.
	now time.Time
	// failure is the error that ended the phases early; set by Reconcile.
	failure error

	// authority is the Secret that signs the hub's certificates, nil if it does not exist. Set by gather.
	authority *corev1.Secret
	// repository is nil if there is none. Set by gather.
	repository *heavenv1.GitRepository
	// forgeMissing names what the forge's Secrets lack; empty if nothing. Set by gather.
	forgeMissing string
	// deployment is nil if there is none. Set by gather, again by ensureWorkload.
	deployment *appsv1.Deployment
	// heavens are those of the merge's cluster. Set by gather.
	heavens []heavenv1.TrishankuHeaven
	// claim is nil if there is none. Set by gather.
	claim *corev1.PersistentVolumeClaim

	// location is where the hub is reached, webhookURL what its forge is told to call. Set by ensureService.
	location   heaven.Location
	webhookURL string

	// certificates are the hub's; nil while they cannot be made. Set by ensureCertificates.
	certificates *pki.Bundle
	// certificatesFailure is why they cannot be made. Set by ensureCertificates.
	certificatesFailure error
	// specFailure is why no Service or workload can be computed from the spec. Set by ensureService and ensureWorkload.
	specFailure error
	// changed names what was written. Set by the ensure phases.
	changed []string

	// pods of the hub. Set by observe or removeWorkload.
	pods []corev1.Pod
	// seen is how far the workload is; nil when nobody has looked. Set by observe.
	seen *heaven.Observation

	// hub is what the hub said; nil if it was not asked or did not answer, and then hubFailure says why. Set by askHub.
	hub        *HubStatus
	hubFailure error

	// remaining is what a deletion waits for. Set by removeWorkload.
	remaining string
}
