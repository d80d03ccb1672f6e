// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// Location is where a Service is reached. An empty host means: not known yet, and Why says what for.
type Location struct {
	// Internal is for clients in the host cluster.
	Internal heavenv1.Endpoint
	// External is for all others.
	External heavenv1.Endpoint
	// Addresses are all hosts that a serving certificate should name.
	Addresses []string
	Why       string
}

// Locate says where a Service is reached. externalHost overrules what is found; before is the external host that was
// told last, which is kept as long as it is good, so that clients are not sent from node to node.
func Locate(s *corev1.Service, nodes []corev1.Node, externalHost, before string) Location {
	if s == nil || len(s.Spec.Ports) == 0 {
		return Location{Why: "the Service does not exist yet"}
	}
	l := Location{}
	port := s.Spec.Ports[0]
	if s.Spec.ClusterIP == "" || s.Spec.ClusterIP == corev1.ClusterIPNone {
		l.Why = "the host cluster has not given the Service an address yet"
		return l
	}
	l.Internal = heavenv1.Endpoint{Host: s.Spec.ClusterIP, Port: port.Port}
	host, externalPort, why := external(s, port, nodes, before)
	if externalHost != "" {
		host, why = externalHost, ""
	}
	switch {
	case host == "":
		l.Why = why
	case externalPort == 0:
		l.Why = "the host cluster has not given the Service a node port yet"
	default:
		l.External = heavenv1.Endpoint{Host: host, Port: externalPort}
	}
	l.Addresses = []string{s.Spec.ClusterIP}
	if host != "" && host != s.Spec.ClusterIP {
		l.Addresses = append(l.Addresses, host)
	}
	return l
}

func external(s *corev1.Service, port corev1.ServicePort, nodes []corev1.Node, before string) (host string, number int32, why string) {
	switch s.Spec.Type {
	case corev1.ServiceTypeLoadBalancer:
		for _, ingress := range s.Status.LoadBalancer.Ingress {
			if address := cmp.Or(ingress.IP, ingress.Hostname); address != "" {
				return address, port.Port, ""
			}
		}
		return "", port.Port, "the load balancer has no address yet; does the host cluster have a controller for load balancers?"
	case corev1.ServiceTypeNodePort:
		addresses := nodeAddresses(nodes)
		if slices.Contains(addresses, before) {
			return before, port.NodePort, ""
		}
		if len(addresses) > 0 {
			return addresses[0], port.NodePort, ""
		}
		return "", port.NodePort, "no ready node of the host cluster has an address; set the Service's externalHost"
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeExternalName:
		return s.Spec.ClusterIP, port.Port, ""
	}
	return "", port.Port, "the Service's type " + string(s.Spec.Type) + " is not known"
}

// nodeAddresses has one address for each ready node, in the order of their names: the one for the outside if it has one.
func nodeAddresses(nodes []corev1.Node) []string {
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	var addresses []string
	for i := range nodes {
		byType := map[corev1.NodeAddressType]string{}
		for _, a := range nodes[i].Status.Addresses {
			if byType[a.Type] == "" {
				byType[a.Type] = a.Address
			}
		}
		if address := cmp.Or(byType[corev1.NodeExternalIP], byType[corev1.NodeInternalIP]); address != "" && nodeReady(&nodes[i]) {
			addresses = append(addresses, address)
		}
	}
	return addresses
}

func nodeReady(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
