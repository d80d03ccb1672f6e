// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"fmt"
	"net"
	"slices"

	netutils "k8s.io/utils/net"
)

// SubjectNames are the names and addresses that a serving certificate is good for, sorted and without repetition.
type SubjectNames struct {
	DNS []string
	IPs []net.IP
}

// APIServerNames are the names under which every kube-apiserver of a cluster may be spoken to: the Service default/kubernetes by
// its names and by the first address of each Service range, this machine, and whatever else is given, names and addresses mixed.
func APIServerNames(serviceCIDRs []string, serviceDomain string, others ...string) (SubjectNames, error) {
	all := append([]string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + serviceDomain,
		"localhost", "127.0.0.1", "::1",
	}, others...)
	for _, cidr := range serviceCIDRs {
		_, network, err := netutils.ParseCIDRSloppy(cidr)
		if err != nil {
			return SubjectNames{}, fmt.Errorf("read service range %q: %w (a range looks like 10.96.0.0/16)", cidr, err)
		}
		first, err := netutils.GetIndexedIP(network, 1)
		if err != nil {
			return SubjectNames{}, fmt.Errorf("take first address of service range %q: %w (make the range larger)", cidr, err)
		}
		all = append(all, first.String())
	}
	return NewSubjectNames(all...), nil
}

// NewSubjectNames tells names from addresses. Empty ones are left out.
func NewSubjectNames(all ...string) SubjectNames {
	all = slices.Clone(all)
	slices.Sort(all)
	var names SubjectNames
	for _, name := range slices.Compact(all) {
		switch ip := netutils.ParseIPSloppy(name); {
		case name == "":
		case ip != nil:
			names.IPs = append(names.IPs, ip)
		default:
			names.DNS = append(names.DNS, name)
		}
	}
	return names
}
