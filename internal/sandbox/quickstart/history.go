// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	heavenv1 "github.com/trishanku-org/cluster-api-provider-headless/api/heaven/v1alpha1"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

// graphLines is how much of the Git graph is shown.
const graphLines = 40

// git runs Git without the machine's configuration, and without its proxies: the
// hub is near.
func (s *Story) git(ctx context.Context, args ...string) (string, error) {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "GIT_") || strings.HasSuffix(strings.ToLower(name), "_proxy")
	})
	o := command.Options{Env: append(env, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")}
	return command.RunWith(ctx, o, append([]string{"git"}, args...)...)
}

// fetchHistory clones the upstream from the hub, or fetches what is new, as
// anybody with a certificate of the hub's authority can with stock Git.
func (s *Story) fetchHistory(ctx context.Context) error {
	url, access, err := s.hubAccess(ctx)
	if err != nil {
		return narrate.Mend(err, "kubectl --kubeconfig "+s.host.Kubeconfig+" --namespace "+s.o.Namespace+" describe automatedmerge "+s.o.Cluster)
	}
	if _, err := os.Stat(s.repository()); errors.Is(err, fs.ErrNotExist) {
		_, err = s.git(ctx, append(access, "clone", "--quiet", "--mirror", url, s.repository())...)
		return narrate.Mend(err, "the hub's log: kubectl --kubeconfig "+s.host.Kubeconfig+" --namespace "+s.o.Namespace+" logs deployment/"+s.o.Cluster+"-hub")
	}
	_, err = s.git(ctx, append(access, "--git-dir", s.repository(), "fetch", "--quiet", "--prune", url, "+refs/*:refs/*")...)
	return narrate.Mend(err, "remove "+s.repository()+" and run again to clone anew")
}

// hubAccess is the hub's URL, and the options by which Git shows it the
// certificate of those who look after it: they read everything, and push nothing.
func (s *Story) hubAccess(ctx context.Context) (url string, options []string, err error) {
	hostClients, err := connect(s.host.Kubeconfig)
	if err != nil {
		return "", nil, err
	}
	merge, err := hostClients.dynamic.Resource(heavenv1.GroupVersion.WithResource("automatedmerges")).Namespace(s.o.Namespace).
		Get(ctx, s.o.Cluster, metav1.GetOptions{})
	if err != nil {
		return "", nil, fmt.Errorf("find the hub: %w", err)
	}
	hubHost, _, hostErr := unstructured.NestedString(merge.Object, "status", "endpoint", "external", "host")
	hubPort, _, portErr := unstructured.NestedInt64(merge.Object, "status", "endpoint", "external", "port")
	if err := errors.Join(hostErr, portErr); err != nil || hubHost == "" {
		return "", nil, errors.Join(errors.New("the hub has no external endpoint"), err)
	}
	dir := s.c.Path("clusters", s.o.Cluster, "hub")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("create directory for the hub's certificates: %w", err)
	}
	for _, f := range []struct{ option, secret, key string }{
		{"http.sslCAInfo", s.o.Cluster + "-git-ca", "tls.crt"},
		{"http.sslCert", s.o.Cluster + "-hub-certs", "hub-admin.crt"},
		{"http.sslKey", s.o.Cluster + "-hub-certs", "hub-admin.key"},
	} {
		secret, err := hostClients.typed.CoreV1().Secrets(s.o.Namespace).Get(ctx, f.secret, metav1.GetOptions{})
		if err != nil {
			return "", nil, fmt.Errorf("read the hub's certificates: %w", err)
		}
		file := filepath.Join(dir, f.key)
		if err := os.WriteFile(file, secret.Data[f.key], 0o600); err != nil {
			return "", nil, fmt.Errorf("write the hub's certificates: %w", err)
		}
		options = append(options, "-c", f.option+"="+file)
	}
	return "https://" + net.JoinHostPort(hubHost, strconv.FormatInt(hubPort, 10)) + "/repo.git", options, nil
}

// graph is the history as a picture, newest first.
func (s *Story) graph(ctx context.Context) (string, error) {
	return s.git(ctx, "--git-dir", s.repository(), "log", "--graph", "--all", "-n", fmt.Sprint(graphLines),
		"--date=format:%H:%M:%S", "--format=%h %ad %an%d %s")
}

// branches lists the branches with their last commits.
func (s *Story) branches(ctx context.Context) (string, error) {
	return s.git(ctx, "--git-dir", s.repository(), "for-each-ref", "--sort=refname", "refs/heads",
		"--format=%(refname:short) %(objectname:short) %(authordate:format:%H:%M:%S) %(subject)")
}

// workloadCommits are the commits of main that touch the workload, oldest first:
// the way of the pods through Git.
func (s *Story) workloadCommits(ctx context.Context) (string, error) {
	out, err := s.git(ctx, "--git-dir", s.repository(), "log", "--reverse", "--no-merges", "--date=format:%H:%M:%S",
		"--format=%h %ad %<(24,trunc)%an %s", "main", "--",
		":(glob)registry/deployments/"+workloadNamespace+"/"+workload+"*",
		":(glob)registry/replicasets/"+workloadNamespace+"/"+workload+"*",
		":(glob)registry/pods/"+workloadNamespace+"/"+workload+"*")
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) > graphLines {
		lines = append(lines[:graphLines], fmt.Sprintf("... and %d more", len(lines)-graphLines))
	}
	return strings.Join(lines, "\n"), nil
}
