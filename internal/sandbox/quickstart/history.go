// Copyright The Trishanku Authors.
// SPDX-License-Identifier: Apache-2.0

package quickstart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/command"
	"github.com/trishanku-org/cluster-api-provider-headless/internal/sandbox/narrate"
)

const (
	// graphLines is how much of the Git graph is shown.
	graphLines = 40
	// repositoryInVolume is where a hub's volume holds its repository.
	repositoryInVolume = "repository"
)

// trusting is a Git configuration that reads repositories of other users: those
// of the hub belong to its pod's. It must be a file: what is given on Git's
// command line does not reach the process that it starts at the other end.
const trusting = "[safe]\n\tdirectory = *\n"

// git runs Git with a configuration of its own.
func (s *Story) git(ctx context.Context, args ...string) (string, error) {
	file := s.c.Path("clusters", "gitconfig")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", fmt.Errorf("create directory of clusters: %w", err)
	}
	if err := os.WriteFile(file, []byte(trusting), 0o600); err != nil {
		return "", fmt.Errorf("write Git's configuration: %w", err)
	}
	o := command.Options{Env: append(os.Environ(), "GIT_CONFIG_GLOBAL="+file, "GIT_CONFIG_NOSYSTEM=1")}
	return command.RunWith(ctx, o, append([]string{"git"}, args...)...)
}

// fetchHistory clones the upstream from the hub's volume, or fetches what is new.
// Only the sandbox's volumes can be reached without asking the hub.
func (s *Story) fetchHistory(ctx context.Context) error {
	if s.o.Host == Existing {
		s.tell.Sayf("  the hub's volume is not on this machine: clone from the hub, with a client certificate of its authority")
		return nil
	}
	source, err := s.hubRepository(ctx)
	if err != nil {
		return err
	}
	if _, err := os.Stat(s.repository()); err != nil {
		if _, err := s.git(ctx, "clone", "--quiet", "--mirror", source, s.repository()); err != nil {
			return narrate.Mend(fmt.Errorf("clone the upstream: %w", err), "git fsck --strict in "+source)
		}
		return nil
	}
	if _, err := s.git(ctx, "--git-dir", s.repository(), "fetch", "--quiet", "--prune", source, "+refs/*:refs/*"); err != nil {
		return narrate.Mend(fmt.Errorf("fetch the upstream: %w", err), "git fsck --strict in "+source)
	}
	return nil
}

// hubRepository is the repository on the hub's volume.
func (s *Story) hubRepository(ctx context.Context) (string, error) {
	hostClients, err := connect(s.host.Kubeconfig)
	if err != nil {
		return "", err
	}
	pods, err := hostClients.typed.CoreV1().Pods(s.o.Namespace).List(ctx, metav1.ListOptions{
		LabelSelector: "cluster.x-k8s.io/cluster-name=" + s.o.Cluster + ",heaven.trishanku.org/component=hub",
	})
	if err != nil {
		return "", fmt.Errorf("find the hub's pod: %w", err)
	}
	for i := range pods.Items {
		for _, v := range pods.Items[i].Spec.Volumes {
			if v.PersistentVolumeClaim == nil {
				continue
			}
			claim, err := hostClients.typed.CoreV1().PersistentVolumeClaims(s.o.Namespace).Get(ctx, v.PersistentVolumeClaim.ClaimName, metav1.GetOptions{})
			if err != nil {
				return "", fmt.Errorf("read the hub's claim: %w", err)
			}
			dir := filepath.Join(s.c.Path("volumes"), claim.Spec.VolumeName, repositoryInVolume)
			if _, err := os.Stat(dir); err == nil {
				return dir, nil
			}
		}
	}
	return "", errors.New("the hub of " + s.o.Cluster + " has no volume with a repository")
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
