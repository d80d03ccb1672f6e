// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// DefaultService fills in a Service's type and port.
func DefaultService(s *heavenv1.ServiceTemplate, t corev1.ServiceType, port int32) {
	if s.Type == "" {
		s.Type = t
	}
	if s.Port == 0 {
		s.Port = port
	}
}

// Service checks how a Service shall be reached.
func Service(path *field.Path, s *heavenv1.ServiceTemplate) field.ErrorList {
	if s == nil {
		return nil
	}
	errs := apivalidation.ValidateAnnotations(s.Annotations, path.Child("annotations"))
	if s.NodePort != 0 && (s.Type == "" || s.Type == corev1.ServiceTypeClusterIP) {
		errs = append(errs, field.Forbidden(path.Child("nodePort"), "needs type NodePort or LoadBalancer"))
	}
	if s.ExternalHost != "" {
		errs = append(errs, host(path.Child("externalHost"), s.ExternalHost)...)
	}
	return errs
}

// host checks a name or an address.
func host(path *field.Path, h string) field.ErrorList {
	if _, err := netip.ParseAddr(h); err == nil {
		return nil
	}
	if len(validation.IsDNS1123Subdomain(h)) > 0 {
		return field.ErrorList{field.Invalid(path, h, "is neither an address nor a DNS name; write it without scheme and port")}
	}
	return nil
}

// Endpoint checks an endpoint that is optional as a whole: host and port come together.
func Endpoint(path *field.Path, h string, port int32) field.ErrorList {
	switch {
	case h == "" && port == 0:
		return nil
	case h == "":
		return field.ErrorList{field.Required(path.Child("host"), "write host and port, or neither")}
	case port == 0:
		return field.ErrorList{field.Required(path.Child("port"), "write host and port, or neither")}
	default:
		return host(path.Child("host"), h)
	}
}

// Names checks names and addresses of a certificate.
func Names(path *field.Path, names []string) field.ErrorList {
	var errs field.ErrorList
	for i, n := range names {
		if len(validation.IsWildcardDNS1123Subdomain(n)) == 0 {
			continue
		}
		errs = append(errs, host(path.Index(i), n)...)
	}
	return errs
}

// Networks checks ranges of addresses: one, or one of each family.
func Networks(path *field.Path, cidrs []string) field.ErrorList {
	var errs field.ErrorList
	families := map[bool]int{} // is IPv4 -> index
	for i, c := range cidrs {
		p, err := netip.ParsePrefix(c)
		if err != nil {
			errs = append(errs, field.Invalid(path.Index(i), c, "is no range of addresses; write one such as 10.96.0.0/16"))
			continue
		}
		if p != p.Masked() {
			errs = append(errs, field.Invalid(path.Index(i), c, "has bits beyond its prefix; write "+p.Masked().String()))
		}
		if j, ok := families[p.Addr().Is4()]; ok {
			errs = append(errs, field.Invalid(path.Index(i), c, "is of the same family as "+cidrs[j]+"; write one range of each family"))
		}
		families[p.Addr().Is4()] = i
	}
	return errs
}
