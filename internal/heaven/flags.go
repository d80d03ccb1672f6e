// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"fmt"
	"slices"
	"strings"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// Flags of kube-apiserver that heavens depend on, by the beginning of their names.
var protectedAPIServerFlags = []string{
	"advertise-address", "anonymous-auth", "api-audiences", "authentication-config", "authorization-mode", "bind-address",
	"client-ca-file", "encryption-provider-config", "endpoint-reconciler-type", "etcd-", "kubelet-certificate-authority",
	"kubelet-client-", "proxy-client-", "requestheader-", "secure-port", "service-account-issuer", "service-account-key-file",
	"service-account-signing-", "service-cluster-ip-range", "storage-backend", "storage-media-type", "tls-cert-file",
	"tls-private-key-file",
}

// Flags of kube-controller-manager and kube-scheduler that heavens depend on.
var protectedComponentFlags = []string{
	"authentication-kubeconfig", "authorization-kubeconfig", "bind-address", "cluster-cidr", "cluster-signing-", "config",
	"kubeconfig", "leader-elect", "master", "root-ca-file", "secure-port", "service-account-private-key-file",
	"service-cluster-ip-range", "use-service-account-credentials",
}

// CheckAPIServerArgs refuses flags of kube-apiserver that a heaven depends on.
func CheckAPIServerArgs(args []heavenv1.Argument) error {
	return checkArgs("kube-apiserver", args, protectedAPIServerFlags)
}

// CheckComponentArgs refuses flags of kube-controller-manager and kube-scheduler that a heaven depends on.
func CheckComponentArgs(component string, args []heavenv1.Argument) error {
	return checkArgs(component, args, protectedComponentFlags)
}

func checkArgs(program string, args []heavenv1.Argument, protected []string) error {
	for _, arg := range args {
		if slices.ContainsFunc(protected, func(p string) bool {
			return arg.Name == p || strings.HasSuffix(p, "-") && strings.HasPrefix(arg.Name, p)
		}) {
			return fmt.Errorf("set flag --%s of %s: heavens depend on it; remove it from extraArgs", arg.Name, program)
		}
	}
	return nil
}

// commandLine lays the user's flags over ours: one that is given replaces all of ours with its name. The order is ours,
// then that of the user's list.
func commandLine(program string, ours, users []heavenv1.Argument) []string {
	line := []string{program}
	for _, arg := range ours {
		if !slices.ContainsFunc(users, func(u heavenv1.Argument) bool { return u.Name == arg.Name }) {
			line = append(line, "--"+arg.Name+"="+arg.Value)
		}
	}
	for _, arg := range users {
		line = append(line, "--"+arg.Name+"="+arg.Value)
	}
	return line
}
