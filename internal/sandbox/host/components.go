// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/credentials"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/supervisor"
)

// The names of the components, which are also the names of their logs.
const (
	APIServer   = "kube-apiserver"
	Controllers = "kube-controller-manager"
	Scheduler   = "kube-scheduler"
	Containerd  = "containerd"
	Kubelet     = "kubelet"
	Proxy       = "kube-proxy"
	Provisioner = "storage-provisioner"
)

// components lists what the host runs, in the order of starting. The controller
// manager needs an API server that is ready: started at once with it, it would
// exit over a role that is not there yet.
func components(c sandbox.Config) ([]supervisor.Component, error) {
	nets, err := c.Networks()
	if err != nil {
		return nil, err
	}
	list := []supervisor.Component{
		store(c),
		{
			Name:  APIServer,
			Argv:  append([]string{c.Bin("kube-apiserver")}, apiServerFlags(c, nets)...),
			Needs: []string{c.Store},
			Ready: supervisor.Probe{URL: credentials.Server(nets) + "/readyz", CAFile: credentials.File(c, "ca.crt")},
			// It stops listening at once, then waits a minute for the watches of pods that still run.
			Grace: 4 * time.Second,
		},
		{
			Name:  Controllers,
			Argv:  append([]string{c.Bin("kube-controller-manager")}, controllerFlags(c, nets)...),
			Needs: []string{APIServer},
		},
		{
			Name:  Scheduler,
			Argv:  append([]string{c.Bin("kube-scheduler"), "--leader-elect=false", "--bind-address=127.0.0.1"}, kubeconfigFlags(c, Scheduler)...),
			Needs: []string{APIServer},
		},
		{
			Name:  Containerd,
			Argv:  []string{"containerd", "--config", c.Path("config/containerd.toml")},
			Ready: supervisor.Probe{Socket: c.ContainerdSocket()},
		},
		{
			Name: Kubelet,
			Argv: []string{
				c.Bin("kubelet"), "--config=" + c.Path("config/kubelet.yaml"), "--kubeconfig=" + credentials.Kubeconfig(c, Kubelet),
				"--hostname-override=" + c.Name, "--node-ip=" + nets.Node.String(), "--v=2",
			},
			Needs: []string{APIServer, Containerd},
			Ready: supervisor.Probe{URL: "http://127.0.0.1:10248/healthz"},
		},
		{
			Name:  Proxy,
			Argv:  []string{c.Bin("kube-proxy"), "--config=" + c.Path("config/kube-proxy.yaml")},
			Needs: []string{APIServer},
			Ready: supervisor.Probe{URL: "http://127.0.0.1:10256/healthz"},
		},
		{
			Name: Provisioner,
			Argv: []string{
				c.Bin("sandbox"), "provision", "--kubeconfig", credentials.Kubeconfig(c, Provisioner),
				"--root", c.Path("volumes"), "--node", c.Name,
			},
			Needs: []string{APIServer},
		},
	}
	return list, addRevisions(c, list)
}

// addRevisions makes a changed binary, certificate or configuration a changed component.
func addRevisions(c sandbox.Config, list []supervisor.Component) error {
	reads := map[string][]string{
		APIServer: {
			credentials.File(c, "apiserver.crt"), credentials.File(c, "apiserver-kubelet-client.crt"),
			credentials.File(c, "front-proxy-client.crt"), c.Path("config/encryption.yaml"),
		},
		Controllers: {credentials.Kubeconfig(c, Controllers)},
		Scheduler:   {credentials.Kubeconfig(c, Scheduler)},
		Containerd:  {c.Path("config/containerd.toml")},
		Kubelet:     {c.Path("config/kubelet.yaml"), credentials.Kubeconfig(c, Kubelet), credentials.File(c, "kubelet.crt")},
		Proxy:       {c.Path("config/kube-proxy.yaml"), credentials.Kubeconfig(c, Proxy)},
		Provisioner: {credentials.Kubeconfig(c, Provisioner)},
	}
	for i := range list {
		binary := list[i].Argv[0]
		if list[i].Name == Containerd {
			binary = "/usr/bin/containerd"
		}
		r, err := revision(binary, reads[list[i].Name]...)
		if err != nil {
			return err
		}
		list[i].Revision = r
	}
	return nil
}

func apiServerFlags(c sandbox.Config, nets sandbox.Networks) []string {
	pki := func(name string) string { return credentials.File(c, name) }
	return append([]string{
		"--bind-address=" + nets.Node.String(),
		"--advertise-address=" + nets.Node.String(),
		"--secure-port=" + credentials.SecurePort,
		"--encryption-provider-config=" + c.Path("config/encryption.yaml"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + nets.Services.String(),
		"--tls-cert-file=" + pki("apiserver.crt"), "--tls-private-key-file=" + pki("apiserver.key"),
		"--client-ca-file=" + pki("ca.crt"),
		"--kubelet-client-certificate=" + pki("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + pki("apiserver-kubelet-client.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + pki("sa.pub"),
		"--service-account-signing-key-file=" + pki("sa.key"),
		"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + pki("front-proxy-client.key"),
	}, storeFlags(c)...)
}

func controllerFlags(c sandbox.Config, nets sandbox.Networks) []string {
	pki := func(name string) string { return credentials.File(c, name) }
	return append([]string{
		"--leader-elect=false", "--bind-address=127.0.0.1",
		"--use-service-account-credentials=true",
		"--allocate-node-cidrs=true",
		"--cluster-cidr=" + nets.Pods.String(),
		"--service-cluster-ip-range=" + nets.Services.String(),
		"--root-ca-file=" + pki("ca.crt"),
		"--service-account-private-key-file=" + pki("sa.key"),
		"--cluster-signing-cert-file=" + pki("ca.crt"), "--cluster-signing-key-file=" + pki("ca.key"),
	}, kubeconfigFlags(c, Controllers)...)
}

// kubeconfigFlags are the three that controller manager and scheduler take.
func kubeconfigFlags(c sandbox.Config, component string) []string {
	k := credentials.Kubeconfig(c, component)
	return []string{"--kubeconfig=" + k, "--authentication-kubeconfig=" + k, "--authorization-kubeconfig=" + k}
}
