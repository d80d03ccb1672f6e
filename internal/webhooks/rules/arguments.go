// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// Owned lists the flags of one program that this provider sets, each with the field that decides instead, or why none does.
type Owned struct {
	// Program that the flags are of.
	Program string

	// flags by name; a name that ends in "*" stands for all that begin so.
	flags map[string]string
}

const (
	byHeaven  = "the heaven decides it"
	byStorage = "the heaven's store depends on it"
	byPKI     = "it follows from the cluster's certificates"
	byNetwork = "write Cluster.spec.clusterNetwork"
	byProbes  = "probes and components of the heaven depend on it"
)

// APIServerFlags are the flags of kube-apiserver that a heaven depends on.
var APIServerFlags = Owned{Program: "kube-apiserver", flags: map[string]string{
	"advertise-address": "write controlPlaneEndpoint", "bind-address": byHeaven, "secure-port": byHeaven,
	"permit-port-sharing": byHeaven, "endpoint-reconciler-type": byHeaven,
	"etcd-*": byStorage, "storage-*": byStorage, "encryption-provider-config*": "write encryption",
	"client-ca-file": byPKI, "tls-cert-file": byPKI, "tls-private-key-file": byPKI, "cert-dir": byPKI,
	"kubelet-certificate-authority": byPKI, "kubelet-client-*": byPKI,
	"proxy-client-*": byPKI, "requestheader-*": byPKI,
	"service-account-issuer": byHeaven, "service-account-key-file": byPKI, "service-account-signing-*": byPKI,
	"service-cluster-ip-range": byNetwork,
	"anonymous-auth":           byProbes, "authentication-config": byProbes, "authorization-mode": byProbes,
	"api-audiences": "it follows from the issuer",
}}

// ControllerManagerFlags are the flags of kube-controller-manager that a heaven depends on.
var ControllerManagerFlags = Owned{Program: "kube-controller-manager", flags: map[string]string{
	"kubeconfig": byHeaven, "authentication-kubeconfig": byHeaven, "authorization-kubeconfig": byHeaven, "master": byHeaven,
	"leader-elect": "a branch has one writer: Git is the lease", "leader-elect-*": "a branch has one writer: Git is the lease",
	"bind-address": byHeaven, "secure-port": byProbes, "cluster-name": byHeaven, "use-service-account-credentials": byHeaven,
	"cluster-cidr": byNetwork, "service-cluster-ip-range": byNetwork,
	"cluster-signing-*": byPKI, "root-ca-file": byPKI,
	"client-ca-file": byPKI, "requestheader-client-ca-file": byPKI, "service-account-private-key-file": byPKI,
}}

// SchedulerFlags are the flags of kube-scheduler that a heaven depends on.
var SchedulerFlags = Owned{Program: "kube-scheduler", flags: map[string]string{
	"kubeconfig": byHeaven, "authentication-kubeconfig": byHeaven, "authorization-kubeconfig": byHeaven, "master": byHeaven,
	"leader-elect": "a branch has one writer: Git is the lease", "leader-elect-*": "a branch has one writer: Git is the lease",
	"bind-address": byHeaven, "secure-port": byProbes, "config": "its file could not be mounted",
	"client-ca-file": byPKI, "requestheader-client-ca-file": byPKI,
}}

// KubeletFlags are the flags of the kubelet that a node depends on.
var KubeletFlags = Owned{Program: "kubelet", flags: map[string]string{
	"kubeconfig": "the node's own heaven decides it", "bootstrap-kubeconfig": "the node's own heaven decides it",
	"config": "write kubelet.config", "config-dir": "write kubelet.config",
	"provider-id": "it is the infrastructure machine's spec.providerID", "hostname-override": "the Node is named after its branch",
	"node-labels": "write labels", "register-with-taints": "write taints",
	"container-runtime-endpoint": "the node's services decide it", "cert-dir": byPKI, "root-dir": "the node's services decide it",
}}

// why returns the reason for which a flag is owned, or "".
func (o Owned) why(name string) string {
	if reason, ok := o.flags[name]; ok {
		return reason
	}
	for pattern, reason := range o.flags {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasPrefix(name, prefix) {
			return reason
		}
	}
	return ""
}

// Arguments checks the extra flags of a program.
func Arguments(path *field.Path, args []heavenv1.Argument, owned Owned) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[heavenv1.Argument]()
	for i, a := range args {
		at := path.Index(i)
		if strings.HasPrefix(a.Name, "-") {
			errs = append(errs, field.Invalid(at.Child("name"), a.Name, "leave out the dashes"))
			continue
		}
		if reason := owned.why(a.Name); reason != "" {
			errs = append(errs, field.Forbidden(at.Child("name"), fmt.Sprintf("flag --%s of %s cannot be set: %s", a.Name, owned.Program, reason)))
		}
		if seen.Has(a) {
			errs = append(errs, field.Duplicate(at, fmt.Sprintf("%s=%s", a.Name, a.Value)))
		}
		seen.Insert(a)
	}
	return errs
}
