// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
)

// Places on the machine.
const (
	etcDir = "/etc/headless"
	pkiDir = etcDir + "/pki"
	// binDir is not below /usr/local: that may belong to the machine image, unchangeable.
	binDir = "/opt/headless/bin"

	gitcdSocket  = "unix:///run/headless/gitcd.sock"
	eventsSocket = "unix:///run/headless/events.sock"
	statusListen = "127.0.0.1:2381"

	pauseImage = "registry.k8s.io/pause:3.10"
)

// gitcdConfig is gitcd's configuration file. A node goes on without its upstream.
func gitcdConfig(in *Input) ([]byte, error) {
	config := gitcdv1.Config{
		Repository:   "/var/lib/gitcd/repository.git",
		HolderFile:   "/var/lib/gitcd/holder",
		Branch:       in.Branch(),
		Author:       gitcdv1.Author{Name: in.NodeName},
		Listeners:    []gitcdv1.Listener{{URL: gitcdSocket}},
		Events:       &gitcdv1.Events{Listeners: []gitcdv1.Listener{{URL: eventsSocket}}},
		StatusListen: statusListen,
		Upstream: &gitcdv1.Upstream{
			URL:        in.Hub.URL,
			MainBranch: cmp.Or(in.Hub.MainBranch, heavenv1.MainBranch),
			CAFile:     pkiDir + "/git-ca.crt",
			CertFile:   pkiDir + "/" + certHubClient + ".crt",
			KeyFile:    pkiDir + "/" + certHubClient + ".key",
		},
		Mode: gitcdv1.ModeAvailable,
	}
	file, err := config.Marshal()
	if err != nil {
		return nil, err
	}
	// What gitcd would refuse shows here, and not on a machine far away.
	if _, err = gitcdv1.Load(file); err != nil {
		return nil, err
	}
	return file, nil
}

// apiServerArgs are the flags of the node's own kube-apiserver: those of every heaven, for a node.
func apiServerArgs(in *Input) []string {
	file := func(name string) string { return pkiDir + "/" + name }
	return []string{
		"--advertise-address=${NODE_ADDRESS}",
		"--allow-privileged=true",
		"--api-audiences=" + in.Network.Issuer,
		"--authentication-config=" + etcDir + "/authentication.yaml",
		"--authorization-mode=Node,RBAC",
		"--bind-address=0.0.0.0",
		"--client-ca-file=" + file("ca.crt"),
		"--enable-admission-plugins=NodeRestriction",
		"--encryption-provider-config=" + file("encryption.yaml"),
		"--endpoint-reconciler-type=none",
		"--etcd-servers=" + gitcdSocket,
		"--etcd-servers-overrides=/events#" + eventsSocket,
		"--profiling=false",
		"--proxy-client-cert-file=" + file(certFrontProxy+".crt"),
		"--proxy-client-key-file=" + file(certFrontProxy+".key"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-client-ca-file=" + file("front-proxy-ca.crt"),
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--secure-port=6443",
		"--service-account-issuer=" + in.Network.Issuer,
		"--service-account-key-file=" + file("sa.pub"),
		"--service-account-signing-key-file=" + file("sa.key"),
		"--service-cluster-ip-range=" + strings.Join(in.Network.ServiceCIDRs, ","),
		"--storage-media-type=application/json",
		"--tls-cert-file=" + file(certAPIServer+".crt"),
		"--tls-private-key-file=" + file(certAPIServer+".key"),
	}
}

// kubeletArgs are the kubelet's flags: what has no field in its configuration file, then the user's.
func kubeletArgs(in *Input) []string {
	args := []string{
		"--config=/run/headless/kubelet.yaml",
		"--hostname-override=" + in.NodeName,
		"--kubeconfig=" + pkiDir + "/" + certKubelet + ".conf",
	}
	if !slices.ContainsFunc(in.KubeletArgs, func(a heavenv1.Argument) bool { return a.Name == "node-ip" }) {
		args = append(args, "--node-ip=${NODE_ADDRESS}")
	}
	if len(in.Labels) > 0 {
		var pairs []string
		for _, key := range slices.Sorted(maps.Keys(in.Labels)) {
			pairs = append(pairs, key+"="+in.Labels[key])
		}
		args = append(args, "--node-labels="+strings.Join(pairs, ","))
	}
	for _, a := range in.KubeletArgs {
		args = append(args, literal("--"+a.Name+"="+a.Value))
	}
	return args
}

// kubeletConfig is the KubeletConfiguration; names between @ are filled in on the machine.
func kubeletConfig(in *Input) ([]byte, error) {
	dns, err := in.serviceAddress(10)
	if err != nil {
		return nil, err
	}
	config := map[string]any{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": map[string]any{
			"anonymous": map[string]any{"enabled": false},
			"webhook":   map[string]any{"enabled": true},
			"x509":      map[string]any{"clientCAFile": pkiDir + "/ca.crt"},
		},
		"authorization":            map[string]any{"mode": "Webhook"},
		"cgroupDriver":             "@CGROUP_DRIVER@",
		"clusterDNS":               []any{dns},
		"clusterDomain":            in.Network.ServiceDomain,
		"containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
		"failCgroupV1":             false,
		"failSwapOn":               false,
		"healthzBindAddress":       "127.0.0.1",
		"resolvConf":               "@RESOLV_CONF@",
		// Asked for by the kubelet, approved for its own addresses, signed by the cluster's authority: so the front door
		// knows whom it asks for logs.
		"serverTLSBootstrap": true,
		"staticPodPath":      "/etc/kubernetes/manifests",
	}
	if in.ProviderID != "" {
		config["providerID"] = in.ProviderID
	}
	if len(in.Taints) > 0 {
		config["registerWithTaints"] = in.Taints
	}
	if len(in.KubeletConfig) > 0 {
		var patch map[string]any
		if err = json.Unmarshal(in.KubeletConfig, &patch); err != nil {
			return nil, fmt.Errorf("read kubelet configuration of the user: %w (write an object of fields of KubeletConfiguration)", err)
		}
		merge(config, patch)
	}
	file, err := yaml.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("write kubelet configuration: %w", err)
	}
	return file, nil
}

// merge lays a JSON merge patch (RFC 7396) over an object.
func merge(object, patch map[string]any) {
	for key, value := range patch {
		change, isObject := value.(map[string]any)
		if value == nil {
			delete(object, key)
			continue
		}
		if have, ok := object[key].(map[string]any); ok && isObject {
			merge(have, change)
			continue
		}
		if isObject {
			// Inside something new, null means absence as well.
			fresh := map[string]any{}
			merge(fresh, change)
			value = fresh
		}
		object[key] = value
	}
}
