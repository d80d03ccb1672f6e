// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package heaven

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/labels/format"

	controlplanev1 "github.com/trishanku-org/cluster-api-provider-headless/api/controlplane/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// Want is what a control plane consists of.
type Want struct {
	Merge      *heavenv1.AutomatedMerge
	FrontDoor  *heavenv1.TrishankuHeaven
	Components []*heavenv1.TrishankuHeaven
}

// Heavens are all heavens, the front door first.
func (w Want) Heavens() []*heavenv1.TrishankuHeaven {
	return append([]*heavenv1.TrishankuHeaven{w.FrontDoor}, w.Components...)
}

// Set says which heavens and which merge a control plane shall have.
func Set(cluster *clusterv1.Cluster, hcp *controlplanev1.HeadlessControlPlane) (Want, error) {
	if err := checkNames(cluster.Name); err != nil {
		return Want{}, err
	}
	network, err := NetworkOf(cluster)
	if err != nil {
		return Want{}, err
	}
	if err := checkExtraArgs(hcp); err != nil {
		return Want{}, err
	}
	s := setter{cluster: cluster, hcp: hcp, network: network, version: Version(hcp)}
	want := Want{Merge: s.merge()}
	s.upstream = httpsURL(HubName(want.Merge.Name)+"."+cluster.Namespace+".svc", want.Merge.Spec.Service.Port)
	want.FrontDoor = s.frontDoor()
	components := hcp.Spec.Components
	if !deref(components.ControllerManager.Disabled) {
		want.Components = append(want.Components, s.heaven(components.ControllerManager.Mode,
			controllerManagerComponent(cluster.Name, network, hcp, s.version)))
	}
	if !deref(components.Scheduler.Disabled) {
		want.Components = append(want.Components, s.heaven(components.Scheduler.Mode, schedulerComponent(hcp, s.version)))
	}
	for _, a := range components.Additional {
		if slices.Contains([]string{heavenv1.FrontDoor, heavenv1.HubComponent, controllerManager, scheduler}, a.Name) {
			return Want{}, fmt.Errorf("add component %s: the name is taken; choose another in components.additional", a.Name)
		}
		want.Components = append(want.Components, s.heaven(a.Mode, additionalComponent(a)))
	}
	return want, nil
}

// Version is the control plane's Kubernetes version with the v that people leave out.
func Version(hcp *controlplanev1.HeadlessControlPlane) string {
	return "v" + strings.TrimPrefix(hcp.Spec.Version, "v")
}

func checkExtraArgs(hcp *controlplanev1.HeadlessControlPlane) error {
	c := hcp.Spec.Components
	if err := CheckAPIServerArgs(c.APIServer.ExtraArgs); err != nil {
		return err
	}
	if err := CheckComponentArgs(controllerManager, c.ControllerManager.ExtraArgs); err != nil {
		return err
	}
	return CheckComponentArgs(scheduler, c.Scheduler.ExtraArgs)
}

// setter holds what all parts of a control plane have in common.
type setter struct {
	cluster  *clusterv1.Cluster
	hcp      *controlplanev1.HeadlessControlPlane
	network  Network
	version  string
	upstream string
}

func (s setter) meta(name, component string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: s.cluster.Namespace,
		Name:      name,
		// No owner: clusterctl would move it, and the source's garbage collector would stop it within a second.
		Labels: map[string]string{
			clusterv1.ClusterNameLabel: s.cluster.Name,
			heavenv1.ComponentLabel:    component,
			heavenv1.ControlPlaneLabel: format.MustFormatValue(s.hcp.Name),
		},
	}
}

func (s setter) merge() *heavenv1.AutomatedMerge {
	configuration := s.hcp.Spec.Merge
	service := *configuration.Service.DeepCopy()
	service.Type = cmp.Or(service.Type, corev1.ServiceTypeNodePort)
	service.Port = cmp.Or(service.Port, heavenv1.HubPort)
	return &heavenv1.AutomatedMerge{
		TypeMeta:   metav1.TypeMeta{APIVersion: heavenv1.GroupVersion.String(), Kind: "AutomatedMerge"},
		ObjectMeta: s.meta(MergeName(s.cluster.Name), heavenv1.HubComponent),
		Spec: heavenv1.AutomatedMergeSpec{
			ClusterName:   s.cluster.Name,
			RepositoryRef: heavenv1.LocalReference{Name: cmp.Or(s.hcp.Spec.RepositoryRef.Name, s.cluster.Name)},
			Branches:      heavenv1.MergeBranches{Main: heavenv1.MainBranch, Genesis: heavenv1.HeavenBranchPrefix + heavenv1.FrontDoor},
			MergeRules:    *configuration.MergeRules.DeepCopy(),
			Service:       service,
			Storage:       configuration.Storage.DeepCopy(),
			Resources:     *configuration.Resources.DeepCopy(),
			Images:        *s.hcp.Spec.Images.DeepCopy(),
		},
	}
}

func (s setter) frontDoor() *heavenv1.TrishankuHeaven {
	h := s.heaven(heavenv1.ModeAvailable, nil)
	template := s.hcp.Spec.Components.APIServer.Service.DeepCopy()
	template.Type = cmp.Or(template.Type, corev1.ServiceTypeClusterIP)
	template.Port = cmp.Or(template.Port, s.cluster.Spec.ClusterNetwork.APIServerPort, heavenv1.APIServerPort)
	h.Spec.APIServer.Service = template
	h.Spec.APIServer.EndpointReconciler = heavenv1.EndpointReconcilerLease
	h.Spec.APIServer.CertSANs = slices.Clone(s.hcp.Spec.Components.APIServer.CertSANs)
	h.Spec.APIServer.AdvertisedEndpoint = s.givenEndpoint()
	h.Spec.Genesis = new(true)
	return h
}

// givenEndpoint is where people reach the API server if that was said from outside. What the control plane found out
// by itself is the front door's Service, which the front door knows without being told.
func (s setter) givenEndpoint() heavenv1.Endpoint {
	for _, e := range []clusterv1.APIEndpoint{s.hcp.Spec.ControlPlaneEndpoint, s.cluster.Spec.ControlPlaneEndpoint} {
		if e.Host != "" {
			return heavenv1.Endpoint{Host: e.Host, Port: e.Port}
		}
	}
	return heavenv1.Endpoint{}
}

func (s setter) heaven(mode heavenv1.Mode, component *heavenv1.HeavenComponent) *heavenv1.TrishankuHeaven {
	name := heavenv1.FrontDoor
	if component != nil {
		name = component.Name
	}
	apiServer := s.hcp.Spec.Components.APIServer
	return &heavenv1.TrishankuHeaven{
		TypeMeta:   metav1.TypeMeta{APIVersion: heavenv1.GroupVersion.String(), Kind: "TrishankuHeaven"},
		ObjectMeta: s.meta(Name(s.cluster.Name, name), name),
		Spec: heavenv1.TrishankuHeavenSpec{
			ClusterName: s.cluster.Name,
			Branch:      heavenv1.HeavenBranchPrefix + name,
			Version:     s.version,
			Component:   component,
			APIServer: heavenv1.HeavenAPIServer{
				EndpointReconciler:   heavenv1.EndpointReconcilerNone,
				ServiceCIDRs:         slices.Clone(s.network.ServiceCIDRs),
				ServiceAccountIssuer: s.network.Issuer(),
				ExtraArgs:            slices.Clone(apiServer.ExtraArgs),
				Resources:            *apiServer.Resources.DeepCopy(),
			},
			Upstream: heavenv1.Upstream{URL: s.upstream, MainBranch: heavenv1.MainBranch},
			Storage:  s.hcp.Spec.Storage.DeepCopy(),
			Mode:     cmp.Or(mode, heavenv1.ModeAvailable),
			Images:   *s.hcp.Spec.Images.DeepCopy(),
		},
	}
}

func deref(b *bool) bool { return b != nil && *b }
