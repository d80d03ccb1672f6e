// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"strings"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox"
)

// Target is one binary.
type Target struct {
	// Name is the binary's, below the directory of binaries.
	Name string
	// Module is the directory of its go.mod, from the checkout's root.
	Module string
	// Package is what is built.
	Package string
	// Variables are set by the linker: import path and name -> value.
	Variables []string
	// Tags are those of the build, separated by commas.
	Tags string
	// Profile is a CPU profile that the compiler follows, from the module's directory.
	Profile string
	// CGO says that it needs a C compiler.
	CGO bool
	// Pinned says that go.mod, go.sum and this target say all: nothing else needs to be looked at.
	Pinned bool
}

// stripped leaves out what only a debugger reads.
const stripped = "-s -w"

func (t Target) ldflags() string {
	flags := []string{stripped}
	for _, v := range t.Variables {
		flags = append(flags, "-X", v)
	}
	return strings.Join(flags, " ")
}

// versioned sets the variables of a version package, as Kubernetes' own builds do.
func versioned(pkg, version string) []string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return []string{pkg + ".gitVersion=" + version, pkg + ".gitMajor=" + parts[0], pkg + ".gitMinor=" + parts[1]}
}

func kubernetes(name, pkg string) Target {
	var variables []string
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		variables = append(append(variables, versioned(p, sandbox.KubernetesVersion)...), p+".gitTreeState=clean")
	}
	return Target{Name: name, Module: "build/kubernetes", Package: "k8s.io/kubernetes/" + pkg, Pinned: true, Variables: variables}
}

func clusterAPI(name, pkg string) Target {
	return Target{
		Name: name, Module: "build/clusterapi", Package: "sigs.k8s.io/cluster-api/" + pkg, Pinned: true,
		Variables: versioned("sigs.k8s.io/cluster-api/version", sandbox.ClusterAPIVersion),
	}
}

func own(name, pkg string) Target {
	return Target{Name: name, Module: ".", Package: "./" + pkg, Variables: []string{"main.version=" + sandbox.Version}}
}

func profiled(t Target, profile string) Target {
	t.Profile = profile
	return t
}

// Targets are all binaries, in the order of building: what fails soonest first.
var Targets = []Target{
	{Name: "sandbox", Module: ".", Package: "./cmd/sandbox"}, // as hack/build.sh makes it, else it were linked twice
	own("pause", "internal/sandbox/pause"),
	profiled(own("gitcd", "cmd/gitcd"), "cmd/gitcd/cpu.pgo"),
	own("manager", "cmd/manager"),
	kubernetes("kube-apiserver", "cmd/kube-apiserver"),
	kubernetes("kube-controller-manager", "cmd/kube-controller-manager"),
	kubernetes("kube-scheduler", "cmd/kube-scheduler"),
	kubernetes("kubelet", "cmd/kubelet"),
	kubernetes("kube-proxy", "cmd/kube-proxy"),
	kubernetes("kubectl", "cmd/kubectl"),
	kubernetes("agnhost", "test/images/agnhost"),
	clusterAPI("clusterctl", "cmd/clusterctl"),
	clusterAPI("capi-manager", "core"),
	{Name: "coredns", Module: "build/coredns", Package: "github.com/coredns/coredns", Pinned: true},
	{Name: "cert-manager", Module: "build/certmanager", Package: "."},
	{Name: "controller-gen", Module: "build/tools", Package: "sigs.k8s.io/controller-tools/cmd/controller-gen", Pinned: true},
	{Name: "kustomize", Module: "build/tools", Package: "sigs.k8s.io/kustomize/kustomize/v5", Pinned: true},
}

// Linter is apart: only `make lint` needs it, and it takes long to build.
var Linter = Target{Name: "golangci-lint", Module: "build/tools", Package: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", Pinned: true}

// Peers are what conformance tests, benchmarks and tests with programs of others run beside gitcd.
var Peers = []Target{
	{Name: "etcd", Module: "build/etcd", Package: "go.etcd.io/etcd/server/v3", Pinned: true},
	{Name: "etcdctl", Module: "build/etcd", Package: "go.etcd.io/etcd/etcdctl/v3", Pinned: true},
	{Name: "etcdutl", Module: "build/etcd", Package: "go.etcd.io/etcd/etcdutl/v3", Pinned: true},
	{Name: "kine", Module: "build/kine", Package: "github.com/k3s-io/kine", Pinned: true, CGO: true},
	{Name: "machine-controller-manager", Module: "build/machines", Package: "github.com/gardener/machine-controller-manager/cmd/machine-controller-manager", Pinned: true},
	{Name: "machine-controller", Module: "build/machines", Package: "."}, // with a driver of ours
	{Name: "gitea", Module: "build/gitea", Package: "code.gitea.io/gitea", Tags: "sqlite,sqlite_unlock_notify", Pinned: true, CGO: true},
}
