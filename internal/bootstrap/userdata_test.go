// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package bootstrap

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"flag"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/cluster-api/util/certs"
	"sigs.k8s.io/yaml"

	gitcdv1 "github.com/trishanku-org/cluster-api-provider-headless/api/gitcd/v1alpha1"
	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/pki"
)

var update = flag.Bool("update", false, "write the golden files anew; read them afterwards")

// plain is a worker of which the user wants nothing special. Keys and certificates are words, so that a reader sees which is where.
func plain() *Input {
	in := &Input{
		Cluster: "blue", NodeName: "blue-md-0-x7k2p", ProviderID: "headless://default/blue-md-0-x7k2p", Version: "v1.36.3",
		Network: Network{
			ServiceCIDRs: []string{"10.96.0.0/16"}, PodCIDRs: []string{"10.244.0.0/16"},
			ServiceDomain: "cluster.local", Issuer: "https://kubernetes.default.svc.cluster.local",
		},
		Hub: Hub{URL: "https://192.0.2.1:30443", MainBranch: "main"},
		Shared: Shared{
			ClusterCA: []byte("cluster authority\n"), FrontProxyCA: []byte("front proxy authority\n"), GitCA: []byte("git authority\n"),
			ServiceAccount: pki.KeyPair{Cert: []byte("service account public key\n"), Key: []byte("SECRET service account key\n")},
			Encryption:     []byte("SECRET encryption configuration\n"),
		},
		Certificates: map[string][]byte{},
	}
	for _, name := range []string{certAPIServer, certFrontProxy, certHubClient, certKubelet, certKubeProxy} {
		in.Certificates[name+".crt"] = []byte("certificate of " + name + "\n")
		in.Certificates[name+".key"] = []byte("SECRET key of " + name + "\n")
	}
	for _, name := range []string{certKubelet, certKubeProxy} {
		in.Certificates[name+".conf"] = []byte("SECRET kubeconfig of " + name + "\n")
	}
	return in
}

// adorned is a worker for which the user set everything there is.
func adorned() *Input {
	in := plain()
	in.Labels = map[string]string{"example.org/zone": "a", "example.org/disk": "ssd"}
	in.Taints = []corev1.Taint{{Key: "example.org/only", Value: "batch", Effect: corev1.TaintEffectNoSchedule}}
	in.KubeletArgs = []heavenv1.Argument{{Name: "v", Value: "4"}, {Name: "image-credential-provider-config", Value: `/etc/with "space" and $HOME and 100%`}}
	in.KubeletConfig = []byte(`{"maxPods": 42, "authentication": {"anonymous": {"enabled": true}}, "staticPodPath": null, "evictionHard": {"memory.available": "5%", "none": null}}`)
	in.Files = []File{
		{Path: "/etc/motd", Content: []byte("hello\n")},
		{Path: "/etc/blob", Owner: "root:adm", Permissions: "640", Content: []byte{0, 1, 2, 255}},
	}
	in.PreCommands = []string{"echo 'it''s' $HOME", "mkdir -p /data"}
	in.PostCommands = []string{"touch /data/done"}
	return in
}

func render(t *testing.T, in *Input) []byte {
	t.Helper()
	data, err := UserData(in)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t *testing.T, data []byte) (cloudConfig, map[string]writeFile) {
	t.Helper()
	var config cloudConfig
	if err := yaml.UnmarshalStrict(data, &config); err != nil {
		t.Fatal(err)
	}
	files := map[string]writeFile{}
	for _, f := range config.WriteFiles {
		if _, ok := files[f.Path]; ok {
			t.Errorf("%s is written twice", f.Path)
		}
		files[f.Path] = f
	}
	return config, files
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]*Input{"plain": plain(), "adorned": adorned()} {
		got := render(t, in)
		file := filepath.Join("testdata", name+".golden.yaml")
		if *update {
			if err := os.WriteFile(file, got, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("%v (write it: go test ./internal/bootstrap -update)", err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got); if this is meant: go test ./internal/bootstrap -update\n%s", name, diff)
		}
	}
}

func TestLawSameBytes(t *testing.T) {
	t.Parallel()
	first := render(t, adorned())
	for range 20 {
		if !bytes.Equal(first, render(t, adorned())) {
			t.Fatal("equal input gave different user data")
		}
	}
}

func TestLawHubOnly(t *testing.T) {
	t.Parallel()
	in := plain()
	known := []string{"https://192.0.2.1:30443", "https://192.0.2.1:8443", in.Network.Issuer, "http://127.0.0.1:10248/healthz"}
	_, files := parse(t, render(t, in))
	for _, f := range files {
		for _, u := range regexp.MustCompile(`https?://[^\s"',;)]+`).FindAllString(f.Content, -1) {
			if !slices.Contains(known, u) {
				t.Errorf("%s names %s", f.Path, u)
			}
		}
	}
	if !strings.Contains(files[etcDir+"/gitcd.yaml"].Content, in.Hub.URL) {
		t.Error("gitcd does not know the hub")
	}
}

func TestLawSecretFiles(t *testing.T) {
	t.Parallel()
	config, files := parse(t, render(t, plain()))
	secrets := 0
	for _, f := range files {
		if !strings.Contains(f.Content, "SECRET") {
			continue
		}
		secrets++
		if f.Permissions != "0600" || !strings.HasPrefix(f.Path, pkiDir+"/") {
			t.Errorf("%s holds a secret and has permissions %s", f.Path, f.Permissions)
		}
	}
	if secrets != 9 {
		t.Errorf("%d files hold secrets, want 9", secrets)
	}
	if len(config.RunCmd) != 1 || !slices.Equal(config.RunCmd[0], []string{binDir + "/bootstrap"}) {
		t.Errorf("commands are %v", config.RunCmd)
	}
}

func authority(t *testing.T, name string) *pki.Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM, err := certs.EncodePrivateKeyPEMFromSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	a, err := pki.ParseAuthority(&corev1.Secret{Data: map[string][]byte{"tls.crt": certs.EncodeCertPEM(cert), "tls.key": keyPEM}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestLawLeastKeys(t *testing.T) {
	t.Parallel()
	in := plain()
	ca := Authorities{Cluster: authority(t, "cluster"), FrontProxy: authority(t, "proxy"), Git: authority(t, "git")}
	wishes, err := Certificates(in, ca)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := pki.Renew(nil, wishes, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	in.Certificates = bundle.Data
	in.Shared.ClusterCA, in.Shared.FrontProxyCA, in.Shared.GitCA = ca.Cluster.Cert, ca.FrontProxy.Cert, ca.Git.Cert
	data := string(render(t, in))
	for _, a := range []*pki.Authority{ca.Cluster, ca.FrontProxy, ca.Git} {
		if key := strings.Split(string(a.Key), "\n")[1]; strings.Contains(data, key) {
			t.Error("an authority's key is in the user data")
		}
	}
	var people []string
	for name, file := range bundle.Data {
		if !strings.HasSuffix(name, ".crt") {
			continue
		}
		cert, err := certs.DecodeCertPEM(file)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(cert.Subject.Organization, "system:masters") {
			t.Errorf("%s is an administrator's", name)
		}
		people = append(people, cert.Subject.CommonName)
	}
	slices.Sort(people)
	want := []string{"front-proxy-client", "kube-apiserver", "nodes/blue-md-0-x7k2p", "system:kube-proxy", "system:node:blue-md-0-x7k2p"}
	if diff := cmp.Diff(want, people); diff != "" {
		t.Errorf("certificates (-want +got):\n%s", diff)
	}
	if len(data) > SmallestCloudLimit/4 {
		t.Errorf("user data takes %d bytes, more than a quarter of what the smallest cloud allows", len(data))
	}
}

func TestLawOwnHeaven(t *testing.T) {
	t.Parallel()
	in := plain()
	wishes, err := Certificates(in, Authorities{Cluster: authority(t, "c"), FrontProxy: authority(t, "p"), Git: authority(t, "g")})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wishes {
		if w.Server != "" && w.Server != "https://127.0.0.1:6443" {
			t.Errorf("%s talks to %s", w.Name, w.Server)
		}
		if w.Name == certAPIServer && !slices.ContainsFunc(w.Leaf.IPs, func(ip net.IP) bool { return ip.String() == "10.96.0.1" }) {
			t.Error("the node's kube-apiserver can not answer for the Service default/kubernetes")
		}
	}
	_, files := parse(t, render(t, in))
	rule := files[binDir+"/kubernetes-service"].Content
	if strings.Count(rule, "ip daddr 10.96.0.1 tcp dport 443 dnat to $NODE_ADDRESS:6443") != 2 {
		t.Errorf("the Service default/kubernetes leads elsewhere:\n%s", rule)
	}
}

// TestScriptsAreScripts lets the shells of Debian and of everybody read what root will run.
func TestScriptsAreScripts(t *testing.T) {
	t.Parallel()
	_, files := parse(t, render(t, adorned()))
	for _, f := range files {
		if !strings.HasPrefix(f.Path, binDir) {
			continue
		}
		if f.Permissions != "0700" || !strings.HasPrefix(f.Content, "#!/bin/sh\n") {
			t.Errorf("%s can not be run: permissions %s", f.Path, f.Permissions)
		}
		for _, shell := range []string{"sh", "bash"} {
			cmd := exec.CommandContext(t.Context(), shell, "-n")
			cmd.Stdin = strings.NewReader(f.Content)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s -n %s: %v\n%s", shell, f.Path, err, out)
			}
		}
	}
}

// TestCommandsOfUserReachTheShellUnchanged runs the generated script's first part with the user's commands.
func TestCommandsOfUserReachTheShellUnchanged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := plain()
	in.PreCommands = []string{`printf '%s\n' "it's \$5 & 100%" > ` + dir + `/said`, "exit 7", "touch " + dir + "/never"}
	_, files := parse(t, render(t, in))
	script, _, _ := strings.Cut(files[binDir+"/bootstrap"].Content, binDir+"/check")
	script = strings.ReplaceAll(script, "/run/headless", dir)
	cmd := exec.CommandContext(t.Context(), "sh")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "FAILED: preCommand ended with status 7: exit 7") {
		t.Errorf("got %v: %s", err, out)
	}
	if said, _ := os.ReadFile(filepath.Join(dir, "said")); string(said) != "it's $5 & 100%\n" {
		t.Errorf("the command said %q", said)
	}
	if _, err := os.Stat(filepath.Join(dir, "never")); err == nil {
		t.Error("a command ran after one that failed")
	}
}

func TestMissingProgramIsNamed(t *testing.T) {
	t.Parallel()
	_, files := parse(t, render(t, plain()))
	script := strings.Replace(files[binDir+"/check"].Content, "PATH=", "PATH="+t.TempDir()+" #", 1)
	cmd := exec.CommandContext(t.Context(), "sh")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "headless: gitcd is missing: use a machine image with it in /usr/local/bin or /usr/bin (Kubernetes v1.36.3)") {
		t.Errorf("got %v: %s", err, out)
	}
}

func TestKubeletConfiguration(t *testing.T) {
	t.Parallel()
	_, files := parse(t, render(t, adorned()))
	var got map[string]any
	if err := yaml.Unmarshal([]byte(files[etcDir+"/kubelet.yaml"].Content), &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"maxPods": float64(42), "clusterDNS": []any{"10.96.0.10"}, "failCgroupV1": false, "staticPodPath": nil,
		"providerID":   "headless://default/blue-md-0-x7k2p",
		"evictionHard": map[string]any{"memory.available": "5%"},
	} {
		if diff := cmp.Diff(want, got[key]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	auth, _ := got["authentication"].(map[string]any)
	if auth["x509"] == nil || auth["anonymous"].(map[string]any)["enabled"] != true {
		t.Errorf("authentication is %v", auth)
	}
	unit := files["/etc/systemd/system/headless-kubelet.service"].Content
	if want := `"--image-credential-provider-config=/etc/with \"space\" and $$HOME and 100%%"`; !strings.Contains(unit, want) {
		t.Errorf("the unit has no %s:\n%s", want, unit)
	}
	if blob, err := base64.StdEncoding.DecodeString(files["/etc/blob"].Content); err != nil || !bytes.Equal(blob, []byte{0, 1, 2, 255}) || files["/etc/blob"].Permissions != "0640" {
		t.Errorf("file of the user is %+v", files["/etc/blob"])
	}
}

func TestGitcdReadsItsConfiguration(t *testing.T) {
	t.Parallel()
	_, files := parse(t, render(t, plain()))
	c, err := gitcdv1.Load([]byte(files[etcDir+"/gitcd.yaml"].Content))
	if err != nil {
		t.Fatal(err)
	}
	if c.Branch != "nodes/blue-md-0-x7k2p" || c.Upstream.URL != "https://192.0.2.1:30443" || c.Mode != gitcdv1.ModeAvailable || c.Genesis != nil {
		t.Errorf("got %+v", c)
	}
}

func TestImpossibleInput(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*Input)
		want   string
	}{
		"no node":        {func(in *Input) { in.NodeName = "" }, "node name"},
		"line in name":   {func(in *Input) { in.ProviderID = "a\nb" }, "provider ID"},
		"hub":            {func(in *Input) { in.Hub.URL = "http://hub" }, "https://192.0.2.1:8443"},
		"service range":  {func(in *Input) { in.Network.ServiceCIDRs = []string{"10.0.0.0/33"} }, "10.96.0.0/16"},
		"small range":    {func(in *Input) { in.Network.ServiceCIDRs = []string{"10.0.0.0/30"} }, "larger"},
		"no pods":        {func(in *Input) { in.Network.PodCIDRs = nil }, "pod range"},
		"no keys":        {func(in *Input) { in.Shared.Encryption = nil }, "encryption configuration"},
		"kubelet config": {func(in *Input) { in.KubeletConfig = []byte(`[1]`) }, "KubeletConfiguration"},
	} {
		in := plain()
		tc.change(in)
		if _, err := UserData(in); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, tc.want)
		}
	}
}
