// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"fmt"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/labels/format"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

const (
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"

	// maxName is how long the name of a Service can be.
	maxName = 63
)

// Name is the name of the TrishankuHeaven of a component of a cluster.
func Name(cluster, component string) string { return cluster + "-" + component }

// MergeName is the name of the AutomatedMerge of a cluster.
func MergeName(cluster string) string { return cluster }

// HubName is the name of what is made for an AutomatedMerge.
func HubName(merge string) string { return merge + "-" + heavenv1.HubComponent }

// CertificatesName is the name of the Secret with the leaf certificates of a heaven.
func CertificatesName(heaven string) string { return heaven + "-certs" }

// HubCertificatesName is the name of the Secret with the leaf certificates of an AutomatedMerge.
func HubCertificatesName(merge string) string { return HubName(merge) + "-certs" }

// Labels are the labels of everything that is made for a heaven.
func Labels(h *heavenv1.TrishankuHeaven) map[string]string {
	return map[string]string{
		clusterv1.ClusterNameLabel: h.Spec.ClusterName,
		heavenv1.ComponentLabel:    ComponentName(h),
		heavenv1.HeavenLabel:       format.MustFormatValue(h.Name),
	}
}

// MergeLabels are the labels of everything that is made for an AutomatedMerge.
func MergeLabels(m *heavenv1.AutomatedMerge) map[string]string {
	return map[string]string{
		clusterv1.ClusterNameLabel: m.Spec.ClusterName,
		heavenv1.ComponentLabel:    heavenv1.HubComponent,
		heavenv1.MergeLabel:        format.MustFormatValue(m.Name),
	}
}

// ComponentName is the name of a heaven's component, or that of the front door.
func ComponentName(h *heavenv1.TrishankuHeaven) string {
	if h.Spec.Component == nil {
		return heavenv1.FrontDoor
	}
	return h.Spec.Component.Name
}

// checkNames refuses a cluster whose name leaves no room for the names of its Services.
func checkNames(cluster string) error {
	if longest := Name(cluster, heavenv1.FrontDoor); len(longest) > maxName {
		return fmt.Errorf("name Service %s: a Service's name has at most %d characters; the Cluster's name can have %d",
			longest, maxName, maxName-len(longest)+len(cluster))
	}
	return nil
}
