// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"fmt"
	"net"
	"net/url"
	"strconv"

	netutils "k8s.io/utils/net"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

const (
	// DefaultServiceCIDR is the range of Service addresses of a Cluster that does not say.
	DefaultServiceCIDR = "10.96.0.0/16"

	// DefaultPodCIDR is the range of pod addresses of a Cluster that does not say.
	DefaultPodCIDR = "10.244.0.0/16"

	// DefaultServiceDomain is the DNS domain of a Cluster that does not say.
	DefaultServiceDomain = "cluster.local"
)

// Network is the network of a headless cluster, complete.
type Network struct {
	ServiceCIDRs  []string
	PodCIDRs      []string
	ServiceDomain string
}

// NetworkOf fills in what a Cluster leaves out, and checks the rest.
func NetworkOf(cluster *clusterv1.Cluster) (Network, error) {
	spec := cluster.Spec.ClusterNetwork
	n := Network{
		ServiceCIDRs:  spec.Services.CIDRBlocks,
		PodCIDRs:      spec.Pods.CIDRBlocks,
		ServiceDomain: spec.ServiceDomain,
	}
	if len(n.ServiceCIDRs) == 0 {
		n.ServiceCIDRs = []string{DefaultServiceCIDR}
	}
	if len(n.PodCIDRs) == 0 {
		n.PodCIDRs = []string{DefaultPodCIDR}
	}
	if n.ServiceDomain == "" {
		n.ServiceDomain = DefaultServiceDomain
	}
	if err := checkCIDRs("services", n.ServiceCIDRs); err != nil {
		return Network{}, err
	}
	return n, checkCIDRs("pods", n.PodCIDRs)
}

// Issuer is the issuer of the service accounts' tokens: the same in every heaven, and no address of a pod.
func (n Network) Issuer() string { return "https://kubernetes.default.svc." + n.ServiceDomain }

func checkCIDRs(field string, cidrs []string) error {
	if len(cidrs) > 2 {
		return fmt.Errorf("read Cluster.spec.clusterNetwork.%s: %d ranges; write one, or one of each IP family", field, len(cidrs))
	}
	for _, cidr := range cidrs {
		if _, _, err := netutils.ParseCIDRSloppy(cidr); err != nil {
			return fmt.Errorf("read Cluster.spec.clusterNetwork.%s: %w; a range looks like %s", field, err, DefaultServiceCIDR)
		}
	}
	if len(cidrs) == 2 && netutils.IsIPv6CIDRString(cidrs[0]) == netutils.IsIPv6CIDRString(cidrs[1]) {
		return fmt.Errorf("read Cluster.spec.clusterNetwork.%s: both ranges are of one IP family; write one of each", field)
	}
	return nil
}

// httpsURL is the URL of a server.
func httpsURL(host string, port int32) string {
	return (&url.URL{Scheme: "https", Host: net.JoinHostPort(host, strconv.Itoa(int(port)))}).String()
}
