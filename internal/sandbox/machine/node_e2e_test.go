// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package machine

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/images"
)

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: web, image: "` + sandbox.ImageAgnhost + `", imagePullPolicy: IfNotPresent, args: [netexec, --http-port=8080]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`

// TestMachineBecomesANode walks the whole path of a worker: rendered user data, real cloud-init, a Node by Git alone.
func TestMachineBecomesANode(t *testing.T) {
	f := host(t)
	p := newPlane(t)
	config, err := sandbox.Config{StateDir: t.TempDir(), BinDir: p.bin}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	list, err := images.Select(sandbox.ImagePause, sandbox.ImageAgnhost)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = images.Build(t.Context(), config, list); err != nil {
		t.Fatal(err)
	}
	f.o.BinDir, f.o.Binaries, f.o.ImagesDir = p.bin, Binaries(), images.WorkerDir(config)

	p.heaven("apiserver", 6443)
	p.component("kube-controller-manager", 6444,
		"--allocate-node-cidrs=true", "--cluster-cidr=10.244.0.0/16", "--service-cluster-ip-range=10.96.0.0/16",
		"--root-ca-file="+p.path("ca.crt"), "--service-account-private-key-file="+p.path("sa.key"), "--use-service-account-credentials=true",
		"--cluster-signing-cert-file="+p.path("ca.crt"), "--cluster-signing-key-file="+p.path("ca.key"))
	p.component("kube-scheduler", 6445)

	const node = "worker-9"
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := inside(t, f, node, "cloud-init status --long; tail -50 /var/log/cloud-init-output.log; systemctl list-units 'headless-*' containerd --all --no-pager; "+
				"journalctl --no-pager -n 40 -u 'headless-*' -u containerd | cut -c1-300; journalctl --no-pager -o cat -u containerd | grep -o 'failed (add).*' | sed 's,10.244.0.[0-9]*,IP,' | sort | uniq -c | sort -rn | head")
			t.Log(out)
			for _, heaven := range []string{"apiserver", "kube-controller-manager", "kube-scheduler"} {
				out, err := p.kubectl(heaven, "get", "nodes,pods,deployments,replicasets,events", "--all-namespaces", "-o", "wide")
				t.Logf("heaven %s: %v\n%s", heaven, err, out)
			}
			out, err := inside(t, f, node, "kubectl --kubeconfig /etc/headless/pki/kubelet.conf get nodes,pods -A -o wide")
			t.Logf("heaven of the node: %v\n%s", err, out)
		}
	})
	begin := time.Now()
	m, err := f.Create(t.Context(), Spec{Name: node, UserData: p.userData(node), Reach: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr(hubAddr), hubPort)}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "Node Ready at the front door", func() error {
		out, err := p.kubectl("apiserver", "get", "node", node, "-o", `jsonpath={.spec.providerID} {.status.addresses[0].address} {.metadata.labels.example\.org/made-by} {.status.conditions[?(@.type=="Ready")].status}`)
		if err == nil && out != fmt.Sprintf("headless://default/%s %s test True", node, m.Address) {
			err = errors.New(out)
		}
		return err
	})
	t.Logf("from create to Node Ready at the front door: %v", time.Since(begin).Round(100*time.Millisecond))

	p.write("web.manifest", []byte(web))
	begin = time.Now()
	if _, err = p.kubectl("apiserver", "apply", "-f", p.path("web.manifest")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "pods Running at the front door", func() error {
		out, err := p.kubectl("apiserver", "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}")
		if err == nil && out != "3" {
			err = fmt.Errorf("%q ready", out)
		}
		return err
	})
	t.Logf("from apply to 3 pods ready: %v", time.Since(begin).Round(100*time.Millisecond))

	t.Run("cloud-init is done", func(t *testing.T) {
		eventually(t, "bootstrap", func() error {
			out, err := inside(t, f, node, "cat /run/cluster-api/bootstrap-success.complete; cloud-init status")
			if err == nil && !strings.HasPrefix(out, "success\nstatus: done") {
				err = errors.New(out)
			}
			return err
		})
	})
	t.Run("a Service answers on the node", func(t *testing.T) {
		ip, err := p.kubectl("apiserver", "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "HTTP", func() error {
			out, err := inside(t, f, node, "curl -sSf -m 2 http://"+ip+"/hostname")
			if err == nil && !strings.HasPrefix(out, "web-") {
				err = errors.New(out)
			}
			return err
		})
	})
	t.Run("pods talk to the node's own kube-apiserver", func(t *testing.T) {
		// The front door is out of reach of the machine, so an answer can come from the node's own only.
		eventually(t, "the API by the Service default/kubernetes", func() error {
			out, err := inside(t, f, node, "nsenter -t $(pgrep -f netexec | head -1) -n curl -sk -m 3 https://10.96.0.1/readyz")
			if err == nil && out != "ok" {
				err = errors.New(out)
			}
			return err
		})
	})
	t.Run("logs come through the front door", func(t *testing.T) {
		eventually(t, "kubectl logs", func() error {
			// As the controller of GitBackedMachines does, which looks more closely.
			if requests, err := p.kubectl("apiserver", "get", "certificatesigningrequests", "-o", "name"); err == nil && requests != "" {
				if _, err = p.kubectl("apiserver", append([]string{"certificate", "approve"}, strings.Fields(requests)...)...); err != nil {
					return err
				}
			}
			out, err := p.kubectl("apiserver", "logs", "deployment/web")
			if err == nil && !strings.Contains(out, "Started HTTP server") {
				err = errors.New(out)
			}
			return err
		})
	})
	t.Run("nothing failed", func(t *testing.T) {
		if out, err := inside(t, f, node, "systemctl --failed --no-legend"); err != nil || out != "" {
			t.Errorf("units failed: %v %s", err, out)
		}
	})
	t.Run("the node starts again while it is cut off", func(t *testing.T) {
		if err := p.hub.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := stop(t.Context(), m.Dir); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if m, err = f.Create(t.Context(), Spec{Name: node}); err != nil {
			t.Fatal(err)
		}
		get := "kubectl --kubeconfig /etc/headless/pki/kubelet.conf get "
		eventually(t, "the node's own kube-apiserver and pods", func() error {
			out, err := inside(t, f, node, get+`pods --field-selector spec.nodeName=`+node+` -o jsonpath='{range .items[*]}{.status.containerStatuses[0].restartCount}{.status.conditions[?(@.type=="Ready")].status} {end}'`)
			if err == nil && out != "1True 1True 1True " {
				err = errors.New(out)
			}
			return err
		})
		t.Logf("from power on to pods ready, without hub: %v", time.Since(begin).Round(100*time.Millisecond))
	})
}
